"""Language: notes read by a frozen BERT, chunk by chunk, and averaged with weights that grow with time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from m3h.encoders import chunks
from m3h.encoders.block import Block, EncoderState
from m3h.encoders.chunks import Chunk, Ids, Profile
from m3h.encoders.embeddings import embedded
from m3h.encoders.frozen import Frozen
from m3h.encoders.surroundings import now
from m3h.encoders.transformer import Pooling, Reader, WordPieces, open_reader
from m3h.encoders.weights import store
from m3h.encoders.weights.store import Weights
from m3h.hospital.sources import Texts

Doubles = NDArray[np.float64]
#: In studies of profile "haim" the times of notes run from this many hours before the sample, so that notes written
#: after it, which HAIM-MIMIC-MM holds, are not cut; the hours since then are the hours since admission.
HAIM_ORIGIN = -87_600.0


@dataclass(frozen=True)
class _Notes(Frozen):
    """A note is cut into chunks of at most ``limit`` tokens; each distinct chunk is encoded once."""

    pooling: ClassVar[Pooling]
    #: Tokens of a chunk, besides [CLS] and [SEP].
    limit: ClassVar[int]

    @property
    def _lower(self) -> bool:
        """Whether texts are made lower-case, without accents, first."""
        return True

    @property
    def _profile(self) -> Profile:
        return "strict"

    def _reading(self) -> dict[str, Any]:
        return {"lower": self._lower}

    def transform(self, source: str, data: Texts, state: EncoderState) -> Block:
        """Encode all samples. Errors: WeightsError where weights are missing, damaged or others than in training."""
        weights = self._weights_of(state)
        pieces = WordPieces(weights, lower=self._lower)
        found = self._cut(data, pieces)
        width = int(store.described(weights)["hidden_size"])
        # opened only if something is left to encode: where the cache has all, gigabytes need not be read
        vectors = embedded(
            self.identity,
            found.keys,
            width,
            source,
            lambda missing: self._reader(weights, pieces).read(found.chunks, missing),
        )
        values = np.full((data.samples, width), np.nan, dtype=np.float32)
        for row in range(data.samples):
            places, weight = self._weighted(found, data.texts[row], data.times[row])
            if places:
                values[row] = chunks.weighted_mean(vectors[places], weight)
        present = np.asarray(~np.isnan(values).all(axis=1), dtype=np.bool_)
        names = tuple(f"{self.name}{index + 1}" for index in range(width))
        return Block(source, "language", values, present, names, ("",) * width)

    def _reader(self, weights: Weights, pieces: WordPieces) -> Reader:
        return open_reader(weights, pieces, self.pooling, self.precision, now().device)

    def _cut(self, data: Texts, pieces: WordPieces) -> _Cut:
        split = {"strict": chunks.split_strict, "haim": chunks.split_haim}[self._profile]
        found = _Cut()
        if self._profile == "haim":
            found.empty = found.add(())
        distinct = list(dict.fromkeys(text for texts in data.texts for text in texts))
        told = now().told
        for number, (text, lines) in enumerate(zip(distinct, pieces.lines(distinct), strict=True)):
            parts = split(lines, self.limit)
            # no model can read what is too long
            too_long = any(len(part) > self.limit for part in parts)
            found.of_text[text] = None if too_long else [found.add(part) for part in parts]
            if told and number % 256 == 0:
                told("cutting notes into chunks", number / len(distinct))
        return found

    def _weighted(self, cut: _Cut, texts: Sequence[str], times: Sequence[float]) -> tuple[list[int], Doubles]:
        """The chunks of a sample, and the weight of each."""
        parts = [cut.of_text[text] for text in texts]
        if self._profile == "haim" and (not parts or any(part is None for part in parts)):
            return [cut.empty], np.ones(1)
        strict = self._profile == "strict"
        weights = chunks.weights_strict(times) if strict else chunks.weights_haim(times, HAIM_ORIGIN)
        whole = [part or [] for part in parts]
        return [place for part in whole for place in part], np.repeat(weights, [len(part) for part in whole])


class _Cut:
    """Distinct chunks with their keys, and which of them a text consists of (None: chunks that cannot be read)."""

    def __init__(self) -> None:
        self.chunks: list[Ids] = []
        self.keys: list[bytes] = []
        self.of_text: dict[str, list[int] | None] = {}
        self.empty = -1
        self._places: dict[bytes, int] = {}

    def add(self, chunk: Chunk) -> int:
        """The place of a chunk."""
        ids = np.array(chunk, dtype="<i4")
        key = hashlib.sha256(ids.tobytes()).digest()
        if key not in self._places:
            self._places[key] = len(self.chunks)
            self.chunks.append(ids)
            self.keys.append(key)
        return self._places[key]


@dataclass(frozen=True)
class ClinicalBert(_Notes):
    """Bio+Clinical BERT (Alsentzer et al. 2019), 768 numbers a sample: its pooler output for chunks of 510 tokens.

    ``profile`` "strict": cased, as it was trained; whole notes are read; a note weighs 1 + the hours since the
    sample's first; a sample without notes is absent. "haim": as HAIM-MIMIC-MM was computed: lower-case, the last chunk
    of a long note lost, weights the hours since admission, and the empty text where there is no note or a line is too
    long. ``precision`` "bfloat16" is faster on processors that have it. Columns "clinicalbert1" ... Errors:
    WeightsError where the weights are not on this machine.
    """

    name: ClassVar[str] = "clinicalbert"
    pooling: ClassVar[Pooling] = "pooler"
    limit: ClassVar[int] = 510

    profile: Profile = "strict"

    @property
    def _lower(self) -> bool:
        return self.profile == "haim"

    @property
    def _profile(self) -> Profile:
        return self.profile


@dataclass(frozen=True)
class MiniLm(_Notes):
    """all-MiniLM-L6-v2 (sentence-transformers), 384 numbers a sample: a general model of English, small and quick.

    The mean of its last states over the tokens of a chunk, brought to length 1; chunks of 254 tokens, as it was
    trained with 256. Notes are cut and weighted as by clinicalbert's profile "strict"; lower-case. Its weights come
    with the extra "minilm". ``precision`` as there. Columns "minilm1" ... Errors: WeightsError without the weights.
    """

    name: ClassVar[str] = "minilm"
    pooling: ClassVar[Pooling] = "mean"
    limit: ClassVar[int] = 254
