"""Encoders with pretrained weights: their names are known, their weights are not on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from m3h.core.errors import WeightsError
from m3h.encoders.block import Block, Bools, EncoderState


@dataclass(frozen=True)
class ClinicalBert:
    """Bio+Clinical BERT (Alsentzer et al. 2019), 768 numbers a text. Making one raises WeightsError, always."""

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _missing("language", "clinicalbert", "Bio+Clinical BERT", "tfidf")

    def fit(self, data: Any, rows: Bools) -> EncoderState:
        """Raises WeightsError."""
        _missing("language", "clinicalbert", "Bio+Clinical BERT", "tfidf")

    def transform(self, source: str, data: Any, state: EncoderState) -> Block:
        """Raises WeightsError."""
        _missing("language", "clinicalbert", "Bio+Clinical BERT", "tfidf")


@dataclass(frozen=True)
class DenseNet121Chex:
    """DenseNet-121 trained on CheXpert (TorchXRayVision), 1,024 numbers an image. Making one raises WeightsError."""

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _missing("vision", "densenet121-chex", "DenseNet-121 for CheXpert", "hog")

    def fit(self, data: Any, rows: Bools) -> EncoderState:
        """Raises WeightsError."""
        _missing("vision", "densenet121-chex", "DenseNet-121 for CheXpert", "hog")

    def transform(self, source: str, data: Any, state: EncoderState) -> Block:
        """Raises WeightsError."""
        _missing("vision", "densenet121-chex", "DenseNet-121 for CheXpert", "hog")


def _missing(modality: str, encoder: str, model: str, instead: str) -> NoReturn:
    raise WeightsError(
        f"the pretrained weights of {model} are not on this machine",
        where=f'encoder "{encoder}"',
        expected="an encoder that needs no weights: this version can neither fetch nor load pretrained weights",
        next_step=f'set encoder = "{instead}" in the [[source]] of modality "{modality}"; it works without weights',
    )
