"""m3h: multimodal multitask machine learning for hospitals.

Public names are loaded on first use: importing m3h loads neither torch nor duckdb.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3h import dataset as dataset
    from m3h.api.model import M3H as M3H
    from m3h.api.search import search as search
    from m3h.api.tim import tim as tim
    from m3h.core.errors import M3HError as M3HError
    from m3h.dataset.dataset import Dataset as Dataset
    from m3h.study.spec import Study as Study

__version__ = "0.1.0"

_PUBLIC = {
    "Dataset": "m3h.dataset.dataset",
    "M3H": "m3h.api.model",
    "M3HError": "m3h.core.errors",
    "Study": "m3h.study.spec",
    "search": "m3h.api.search",
    "tim": "m3h.api.tim",
}

__all__ = ["Dataset", "M3H", "M3HError", "Study", "dataset", "search", "tim"]


def __getattr__(name: str) -> Any:
    if name == "dataset":  # a package that can be called: m3h.dataset(study)
        return importlib.import_module("m3h.dataset")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'm3h' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
