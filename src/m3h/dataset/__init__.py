"""The waist between data and learning: blocks, labels, patients and a split, checked once.

The package can be called: ``m3h.dataset(study)`` builds the dataset of a study (see m3h.dataset.build).
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3h.dataset.dataset import Dataset
    from m3h.study.spec import Study


class _CallablePackage(ModuleType):
    """m3h.dataset is a folder of this library and, by contract, the function that its users call first."""

    def __call__(self, study: Study | str | Path, **options: Any) -> Dataset:
        from m3h.dataset.build import build, read_study

        return build(read_study(Path(study)) if isinstance(study, (str, Path)) else study, **options)


sys.modules[__name__].__class__ = _CallablePackage
