"""What a command may say beside the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from m3h.api.given import check_folds_given
from m3h.core.errors import SettingError, nearest
from m3h.experiments.tim.settings import UNUSED, Method
from m3h.study import rules
from m3h.study.presets import PRESETS, Protocol, protocol_of
from m3h.study.spec import Study

Device = Literal["cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]
ExecutorName = Literal["local", "ray"]


@dataclass(frozen=True)
class Options:
    """What a command may say beside the study: each overrides the study file.

    ``singles``, ``joint``, ``search``, ``tim`` and ``appraise`` are the parts to carry out; ``searching`` and
    ``measuring`` change
    fields of [search] and [tim]. ``memory`` in bytes caps a fleet (None: a fixed share of the machine's); ``ledger``
    None is ledger.sqlite in the run folder; ``address`` is that of a Ray cluster. ``weights`` is a folder of pretrained
    weights.
    """

    tasks: tuple[str, ...] = ()
    preset: str | None = None
    seed: int | None = None
    device: Device = "cpu"
    precision: Precision = "float32"
    epochs: int | None = None
    grid: bool | None = None
    memory: int | None = None
    baseline: bool = False
    singles: bool = True
    joint: bool = True
    search: bool = False
    tim: bool = False
    searching: Mapping[str, Any] = field(default_factory=dict)
    measuring: Mapping[str, Any] = field(default_factory=dict)
    report: bool = True
    appraise: bool = True
    strict: bool = False
    cache: Path | Literal["default"] | None = "default"
    weights: Path | None = None
    ledger: Path | None = None
    executor: ExecutorName = "local"
    address: str | None = None
    command: str = ""


def overridden(study: Study, options: Options) -> Study:
    """The study with the options applied. Errors: SettingError for an unknown preset or a number that does not fit."""
    changes: dict[str, Any] = {}
    if options.preset is not None:
        if options.preset not in PRESETS:
            raise SettingError(f'unknown preset "{options.preset}"{nearest(options.preset, PRESETS)}')
        changes["network"] = study.network.model_copy(update={"preset": options.preset})
    if options.seed is not None and not 0 <= options.seed < 2**63:
        raise SettingError(f"seed {options.seed}", expected="a whole number, 0 or more, less than 2 to the power 63")
    if options.epochs is not None and options.epochs < 1:
        raise SettingError(f"{options.epochs} epochs", expected="1 or more")
    changes["protocol"] = protocol = _protocol(study, options)
    if options.seed is not None:
        changes["seed"] = options.seed
    changes["search"] = replace(study.search, **_fitting("search", options.searching))
    changes["tim"] = replace(study.tim, **_fitting("tim", options.measuring))
    for name, wanted, most in (
        ("search", options.search, changes["search"].folds),
        ("tim", options.tim, changes["tim"].folds),
    ):
        if wanted:
            check_folds_given(most, protocol, where=name)
    check_used(changes["tim"].method, [name for name, value in options.measuring.items() if value is not None])
    return study.model_copy(update=changes)


def _protocol(study: Study, options: Options) -> Protocol:
    """The protocol under the options: another preset brings its own, but for what the study file gives."""
    protocol = study.protocol
    if options.preset is not None:
        given = {key: getattr(study.protocol, key) for key in study.protocol_given}
        network = study.network.model_copy(update={"preset": options.preset})
        protocol = replace(protocol_of(network.resolved()), **given)
    if options.epochs is not None:
        protocol = replace(protocol, epochs=options.epochs)
    if options.grid is not None:
        protocol = replace(protocol, grid=options.grid)
    return protocol


def asked(study: Study, options: Options, part: str) -> tuple[tuple[str, ...], str]:
    """The tasks that ``part``, "search" or "tim", is asked to compare, () for the largest group that excludes the same
    sources; and the option or section that says so. ``--tasks`` goes before the study file."""
    if options.tasks:
        return options.tasks, "--tasks"
    return {"search": study.search.tasks, "tim": study.tim.tasks}[part], f"[{part}]"


def check_used(method: Method, given: Sequence[str]) -> None:
    """Errors: SettingError if one of the TIM options ``given`` has no effect with the method."""
    for name in given:
        if name in UNUSED[method]:
            others = [other for other, unused in UNUSED.items() if name not in unused]
            raise SettingError(
                f"{name} has no effect with the TIM method {method}",
                expected=f"{name} beside the method {' or '.join(others)}",
                next_step=f"leave {name} out, or choose another method",
            )


def _fitting(name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that were given. Errors: SettingError for a number that does not fit."""
    given = {key: value for key, value in values.items() if value not in (None, ())}
    rule = {"search": rules.search, "tim": rules.tim}[name]
    mistakes = [message for _, message in rule(given)]
    if mistakes:
        raise SettingError("; ".join(mistakes), where=name)
    return given
