"""Names of parts that can be chosen, known without importing them: name -> "module:attribute"."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from m3h.core.errors import SettingError, nearest


class Registry:
    """Parts by name. Other packages add theirs by an entry point of group ``m3h.<what>``, for example

    [project.entry-points."m3h.encoder"]
    "language/mine" = "mypackage.encoders:Mine"
    """

    def __init__(self, what: str, parts: Mapping[str, str]) -> None:
        self.what = what
        self._own = dict(parts)

    @cached_property
    def _parts(self) -> dict[str, str]:
        others = {point.name: point.value for point in entry_points(group=f"m3h.{self.what}")}
        return others | self._own

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._parts))

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def load(self, name: str) -> Any:
        """The part itself; imports its module. An unknown name is a :class:`SettingError` with the nearest known."""
        if name not in self._parts:
            raise SettingError(f'unknown {self.what} "{name}"{nearest(name, self._parts)}')
        module, _, attribute = self._parts[name].partition(":")
        return getattr(importlib.import_module(module), attribute)


#: "modality/encoder" -> class. Each is a frozen dataclass whose fields are its options (see m3h.encoders.block).
ENCODERS = Registry(
    "encoder",
    {
        "tabular/tabular": "m3h.encoders.tabular:Tabular",
        "tabular/columns": "m3h.encoders.columns:Columns",
        "timeseries/columns": "m3h.encoders.columns:SeriesColumns",
        "language/columns": "m3h.encoders.columns:LanguageColumns",
        "vision/columns": "m3h.encoders.columns:VisionColumns",
        "timeseries/statistics": "m3h.encoders.timeseries:Statistics",
        "language/tfidf": "m3h.encoders.language:Tfidf",
        "language/clinicalbert": "m3h.encoders.notes:ClinicalBert",
        "language/minilm": "m3h.encoders.notes:MiniLm",
        "vision/hog": "m3h.encoders.vision:Hog",
        "vision/densenet121-chex": "m3h.encoders.densenet:DenseNet121Chex",
    },
)

#: Catalogs of tasks that follow from diagnosis codes: name -> a function that gives the tasks.
CATALOGS = Registry(
    "catalog",
    {
        "diseases": "m3h.hospital.catalog.tasks:diseases",
        "operations": "m3h.hospital.catalog.tasks:operations",
    },
)

#: What a source of a modality is encoded with unless the study says otherwise; all of them work offline.
DEFAULT_ENCODERS = {"tabular": "tabular", "timeseries": "statistics", "language": "tfidf", "vision": "hog"}
