"""The study as frozen values. Reading a file into them: :mod:`m3h.study.read`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from m3h.core.registry import DEFAULT_ENCODERS
from m3h.study.presets import DEFAULT_PRESET, PRESETS, Preset, Protocol, SearchOptions, TimOptions, protocol_of
from m3h.study.task import Task

Modality = Literal["tabular", "timeseries", "language", "vision"]
MODALITIES: tuple[Modality, ...] = ("tabular", "timeseries", "language", "vision")


class Spec(BaseModel):
    """Frozen, and unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Samples(Spec):
    """[samples]: one row per prediction moment of one patient."""

    table: str | None = None
    query: str | None = None
    id: str
    patient: str
    time: str | None = None
    split: str | None = None
    subgroups: tuple[str, ...] = ()


class Diagnoses(Spec):
    """[diagnoses]: one row per diagnosis code; ``key`` joins it with the samples. The classification's version, 9 or
    10, stands in the column ``version``, or is ``system`` throughout."""

    table: str | None = None
    query: str | None = None
    key: str
    code: str
    version: str | None = None
    system: int | None = None


class Source(Spec):
    """[[source]]: one input about a sample; columns of the samples table, or a table of its own with a key."""

    name: str = Field(min_length=1)
    modality: Modality
    encoder: str = ""
    columns: tuple[str, ...] = ()
    column: str | None = None
    folder: str | None = None
    table: str | None = None
    query: str | None = None
    key: str | None = None
    time: str | None = None
    available: str | None = None
    order: tuple[str, ...] = ()
    signal: str | None = None
    value: str | None = None
    signals: dict[str, str] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def own_table(self) -> bool:
        """Whether the source has a table of its own."""
        return self.table is not None or self.query is not None

    @property
    def read_as(self) -> Modality:
        """The modality whose sources look like this one in tables: columns are columns, whatever they stand for."""
        return "tabular" if self.encoder == "columns" else self.modality

    @property
    def encoder_name(self) -> str:
        """The encoder's name in the registry: "modality/encoder"."""
        return f"{self.modality}/{self.encoder or DEFAULT_ENCODERS[self.modality]}"


#: What names a table of a study, or a query.
Table = Samples | Source | Diagnoses


class Network(Spec):
    """[network]: a preset and overrides of its fields."""

    preset: str = DEFAULT_PRESET
    overrides: dict[str, Any] = Field(default_factory=dict)

    def resolved(self) -> Preset:
        """The preset with the overrides applied."""
        return Preset(**{**vars(PRESETS[self.preset]), **self.overrides})


def _protocol(given: dict[str, Any]) -> Protocol:
    """The protocol of a study that gives none; ``given`` are its fields so far, without a network that was wrong."""
    network = given.get("network", Network())
    return protocol_of(network.resolved()) if network.preset in PRESETS else Protocol()


class Study(Spec):
    """One study: samples, sources, tasks, network and protocol. ``folder`` is what paths are relative to.

    ``protocol_given`` are the fields of the protocol that were asked for; the others are the preset's, and change with
    it.
    """

    name: str
    title: str = ""
    seed: int = 0
    folder: Path
    file: Path | None = None
    samples: Samples
    diagnoses: Diagnoses | None = None
    sources: tuple[Source, ...]
    tasks: tuple[Task, ...]
    network: Network = Network()
    protocol: Protocol = Field(default_factory=_protocol)
    protocol_given: tuple[str, ...] = ()
    search: SearchOptions = SearchOptions()
    tim: TimOptions = TimOptions()
    notes: str = ""

    @staticmethod
    def read(path: str | Path) -> Study:
        """Read a study file. Errors: StudyError with every mistake of the file and its place."""
        from m3h.study.read import read

        return read(Path(path))
