"""The causes behind the simulated patients, as a linear Gaussian graph, and what follows from it.

Every variable (latent condition, task, finding) is a standard normal liability: a weighted sum of its causes and a
chance of its own. So the correlation of any two is known without a simulation, and two tasks without a common latent
condition are independent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from m3h.core.errors import SettingError

Floats = npt.NDArray[np.float64]
Scope = Literal["patient", "admission", "image"]
THORACIC, DEATH, DAYS = "thoracic_testing", "mortality_48h", "length_of_stay"
INFECTION = "hospital_acquired_infection"


@dataclass(frozen=True)
class Task:
    """A question. ``share``: of patients or admissions that are positive (None: not binary); ``sex``: F or M, the
    only one that has it; codes and words as they are written."""

    name: str
    scope: Scope
    share: float | None = None
    sex: str | None = None
    icd9: tuple[str, ...] = ()
    icd10: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something seen in a chest image. ``classed``: one of the eight; else shown where its liability is above
    ``above``."""

    name: str
    classed: bool
    above: float
    sentence: str


@dataclass(frozen=True)
class Model:
    """``roads`` (variables, variables): how each variable's own chance reaches each variable; a row has length 1.

    ``names`` order both axes: latent conditions, then tasks, then findings. ``lasting`` (variables): whether the own
    chance belongs to the patient; otherwise each admission draws it anew.
    """

    names: tuple[str, ...]
    latents: tuple[str, ...]
    tasks: Mapping[str, Task]
    findings: Mapping[str, Finding]
    groups: Mapping[str, Task]
    causes: Mapping[str, Mapping[str, float]]
    words: Mapping[str, tuple[str, ...]]
    background: Mapping[str, Any]
    lasting: npt.NDArray[np.bool_]
    roads: Floats
    position: Mapping[str, int] = field(default_factory=dict)

    def weights(self, effects: Mapping[str, float]) -> Floats:
        """``effects`` by name as a vector over all variables. Errors: KeyError for a name that is none."""
        vector = np.zeros(len(self.names))
        for name, weight in effects.items():
            vector[self.position[name]] = weight
        return vector

    def origins(self, name: str) -> frozenset[str]:
        """The latent conditions that reach a task; of the thoracic task, those that reach one of its classes."""
        found = set()
        for row in self._rows(name):
            found |= {latent for latent in self.latents if row[self.position[latent]] != 0}
        return frozenset(found)

    def strength(self, first: str, second: str) -> float:
        """The correlation of two tasks' liabilities, -1 to 1; where one has classes, the largest in absolute value."""
        both = [float(a @ b) for a in self._rows(first) for b in self._rows(second)]
        return max(both, key=abs)

    def _rows(self, name: str) -> list[Floats]:
        if name != THORACIC:
            return [self.roads[self.position[name]]]
        return [self.roads[self.position[item.name]] for item in self.findings.values() if item.classed]


@cache
def read_model() -> Model:
    """The patient model of ``patients.toml``. Errors: SettingError where causes explain more than all variance."""
    text = resources.files(__package__).joinpath("patients.toml").read_text(encoding="utf-8")
    found = tomllib.loads(text)
    return build_model(found)


def build_model(found: Mapping[str, Any]) -> Model:
    """The model of parsed TOML; a cause must stand before what it causes. Errors: SettingError, as read_model."""
    variables = found["latent"] | {name: table for name, table in found["task"].items() if name != THORACIC}
    variables |= found["finding"]
    names = tuple(variables)
    position = {name: number for number, name in enumerate(names)}
    causes = {name: dict(table.get("causes", {})) for name, table in variables.items()}
    return Model(
        names=names,
        latents=tuple(found["latent"]),
        tasks={name: _task(name, table) for name, table in found["task"].items()},
        findings={name: _finding(name, table) for name, table in found["finding"].items()},
        groups={name: _task(name, table | {"scope": "admission"}) for name, table in found["group"].items()},
        causes=causes,
        words={name: tuple(table.get("words", ())) for name, table in variables.items()},
        background=found["background"],
        lasting=np.array([table.get("scope") == "patient" for table in variables.values()]),
        roads=_roads(names, causes, position),
        position=position,
    )


def _task(name: str, table: Mapping[str, Any]) -> Task:
    codes = {version: tuple(table.get(version, ())) for version in ("icd9", "icd10")}
    return Task(name, table["scope"], table.get("share"), table.get("sex"), codes["icd9"], codes["icd10"])


def _finding(name: str, table: Mapping[str, Any]) -> Finding:
    return Finding(name, table.get("class", False), table.get("above", np.inf), table["words"][0])


def _roads(names: tuple[str, ...], causes: Mapping[str, Mapping[str, float]], position: Mapping[str, int]) -> Floats:
    roads = np.zeros((len(names), len(names)))
    for number, name in enumerate(names):
        for cause, weight in causes[name].items():
            if position.get(cause, number) >= number:
                raise SettingError(f'"{name}" is caused by "{cause}", which does not stand before it')
            roads[number] += weight * roads[position[cause]]
        left = 1.0 - float(roads[number] @ roads[number])
        if left <= 0:
            raise SettingError(f'the causes of "{name}" explain more than all of it', got=f"{1 - left:.3g}")
        roads[number, number] = np.sqrt(left)
    return roads
