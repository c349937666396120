"""Token ids in, vectors out: a frozen BERT in batches of equal shape.

A chunk's numbers do not depend on the chunks beside it: its batch always has the rows that go with its length, filled
up where there are too few, and its padded length follows from its own. So the same chunk has the same bits in every
study, order and restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from m3h.encoders.at_once import Precision, in_order
from m3h.encoders.chunks import Ids
from m3h.encoders.embeddings import Vector
from m3h.encoders.surroundings import Device
from m3h.encoders.weights import store
from m3h.encoders.weights.store import Weights

#: "pooler": tanh of a dense layer on the last state of [CLS]. "mean": mean of the last states of all tokens, brought to
#: length 1, as the sentence transformers are trained.
Pooling = Literal["pooler", "mean"]
#: Tokens of a batch, of a core and of another device. More use it no better; fewer pay for reading all weights anew.
BATCH_TOKENS, DEVICE_TOKENS = 512, 65_536
#: Padded lengths, [CLS] and [SEP] included.
LENGTHS = (16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512)
SPECIAL = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")


class WordPieces:
    """Texts to token ids, by the vocabulary of a model; ``lower`` makes them lower-case without accents first.

    What a text says in brackets, such as "[SEP]", is text. Errors: WeightsError for a vocabulary that lacks the
    special tokens.
    """

    def __init__(self, weights: Weights, *, lower: bool) -> None:
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.normalizers import BertNormalizer
        from tokenizers.pre_tokenizers import BertPreTokenizer

        path = weights.folder / store.VOCABULARY
        store.verify(weights, store.VOCABULARY)
        try:
            words = path.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            raise store.unfit(weights, f"{store.VOCABULARY} is missing or no text") from error
        vocabulary = {word.rstrip("\r"): number for number, word in enumerate(words) if word}
        if missing := [word for word in SPECIAL if word not in vocabulary]:
            raise store.unfit(weights, f"{store.VOCABULARY} lacks {', '.join(missing)}")
        self.first, self.last, self.padding = (vocabulary[word] for word in SPECIAL[:3])
        self.tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=SPECIAL[3], max_input_chars_per_word=100))
        self.tokenizer.normalizer = BertNormalizer(lowercase=lower)
        self.tokenizer.pre_tokenizer = BertPreTokenizer()

    def lines(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """For each text the token ids of its lines, without special tokens."""
        for text in texts:
            found = self.tokenizer.encode_batch(text.split("\n"), add_special_tokens=False)
            yield [line.ids for line in found]


@dataclass(frozen=True)
class Reader:
    """A frozen BERT on a device, with what its vocabulary calls [CLS], [SEP] and [PAD]."""

    weights: Weights
    network: Any
    pooling: Pooling
    precision: Precision
    device: Device
    first: int
    last: int
    padding: int

    def read(self, chunks: Sequence[Ids], places: Sequence[int]) -> Iterator[list[tuple[int, Vector]]]:
        """The vectors of the chunks at ``places``, batch by batch, short ones first."""
        batches = batched({place: len(chunks[place]) + 2 for place in places}, self.device)

        def work(batch: tuple[int, list[int]]) -> list[tuple[int, Vector]]:
            length, some = batch
            vectors = self.batch([chunks[place] for place in some], length)
            return list(zip(some, vectors, strict=True))

        yield from in_order(work, batches, device=self.device)

    def batch(self, chunks: Sequence[Ids], length: int) -> Vector:
        """The vectors (chunk, width) of chunks that go into one batch of this padded length."""
        ids = torch.full((rows_of(length, self.device), length), self.padding, dtype=torch.long)
        mask = torch.zeros_like(ids)
        empty: Ids = np.zeros(0, dtype=np.int32)
        for row, chunk in enumerate([*chunks, *[empty] * (len(ids) - len(chunks))]):
            whole = (self.first, *chunk.tolist(), self.last)
            ids[row, : len(whole)] = torch.tensor(whole)
            mask[row, : len(whole)] = 1
        vectors = self._forward(ids.to(self.device), mask.to(self.device))[: len(chunks)].float().cpu()
        if not torch.isfinite(vectors).all():
            raise store.unfit(self.weights, "the model gives numbers that are not finite")
        return np.ascontiguousarray(vectors.numpy())

    def _forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device).expand(1, -1)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            out = self.network(
                input_ids=ids, attention_mask=mask, position_ids=positions, token_type_ids=torch.zeros_like(ids)
            )
        if self.pooling == "pooler":
            pooled: Tensor = out.pooler_output
            return pooled
        states = out.last_hidden_state.float()  # (chunk, token, width)
        shown = mask.unsqueeze(-1).float()
        mean = (states * shown).sum(dim=1) / shown.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=1)


def open_reader(
    weights: Weights, pieces: WordPieces, pooling: Pooling, precision: Precision, device: Device = "cpu"
) -> Reader:
    """The model of a weights folder, checked against its SHA-256. Errors: WeightsError where it does not fit."""
    tensors, config = store.load(weights)
    network = make_network(config, pooling)
    expected = set(network.state_dict())
    usable = {name: tensor.float() for name, tensor in tensors.items() if name in expected}
    try:
        network.load_state_dict(usable, strict=True, assign=True)
    except RuntimeError as error:
        raise store.unfit(weights, f"{store.TENSORS} does not fit {store.CONFIG}") from error
    # two buffers that no file holds; what is in them is given with each batch
    for name, buffer in dict(network.named_buffers()).items():
        module, _, own = name.rpartition(".")
        network.get_submodule(module).register_buffer(own, torch.zeros_like(buffer, device="cpu"), persistent=False)
    network = network.eval().to(device)
    return Reader(weights, network, pooling, precision, device, pieces.first, pieces.last, pieces.padding)


def make_network(config: dict[str, Any], pooling: Pooling) -> Any:
    """The architecture that a configuration describes, without numbers (on the meta device)."""
    from transformers import BertConfig, BertModel

    described = BertConfig(**{key: value for key, value in config.items() if key not in ("architectures", "id2label")})
    described._attn_implementation = "sdpa"
    with torch.device("meta"):
        return BertModel(described, add_pooling_layer=pooling == "pooler")


def rows_of(length: int, device: Device = "cpu") -> int:
    """Chunks in a batch of this padded length."""
    return max(1, (BATCH_TOKENS if device == "cpu" else DEVICE_TOKENS) // length)


def batched(lengths: Mapping[int, int], device: Device = "cpu") -> list[tuple[int, list[int]]]:
    """Things of known length as batches (padded length, things), short ones first."""
    by_length: dict[int, list[int]] = {}
    for thing, length in lengths.items():
        by_length.setdefault(next(padded for padded in LENGTHS if padded >= length), []).append(thing)
    batches: list[tuple[int, list[int]]] = []
    for length, things in sorted(by_length.items()):
        rows = rows_of(length, device)
        batches += [(length, things[at : at + rows]) for at in range(0, len(things), rows)]
    return batches
