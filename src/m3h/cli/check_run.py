"""m3h check of a run: whether its model follows from its training rows."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.core.errors import DataError, FolderError, SettingError

if TYPE_CHECKING:
    from m3h.api.saved import Fitted
    from m3h.dataset.dataset import Dataset
    from m3h.study.spec import Study

Say = Callable[[str, float | None], None]


def check_run(run: Path, study: Path | None, build: dict[str, Any], say: Say) -> dict[str, Any]:
    """What ``m3h check RUN`` tells: the run's ``networks`` with their training rows, and ``alarms``.

    ``study`` None: the study file that the run's command names. ``build`` are options of m3h.dataset.build.build.
    Errors: FolderError where no model is; SettingError where the study file is not found; DataError where the tables
    are not those the model was trained on.
    """
    from m3h.api.folder import read_facts
    from m3h.encoders.mistakes import read_study

    say("reading the model", None)
    read_facts(run)
    told = _told(run)
    given = read_study(study or _study_file(run, told))
    # these take seconds to load, which nobody should wait for to hear of a mistyped name
    from m3h.api import saved
    from m3h.dataset.audit.refit import encoder_alarms, scaler_alarms, side_alarms
    from m3h.dataset.build import build as read
    from m3h.training.batches import trial_rows

    fitted, _ = saved.load(run)
    say("reading the study", None)
    data = read(_as_trained(given, fitted), looks=False, progress=say, **build)
    _refuse_other_data(data, fitted, told, run)
    say("auditing", None)
    networks, alarms = [], list(encoder_alarms(data, fitted.states))
    for network in fitted.networks:
        rows, _ = trial_rows(data, network.trial)
        networks.append({"task_set": network.trial.label, "rows": len(rows), "sources": list(network.trial.sources)})
        alarms += scaler_alarms(data, network.scaler, rows, f"network of {network.trial.label[:80]}")
    predictions = run / "predictions.parquet"
    if predictions.is_file():
        alarms += side_alarms(data, _samples(predictions))
    return {"networks": networks, "alarms": alarms}


def _told(run: Path) -> dict[str, Any]:
    """run.json of the run folder, or of the one around a model's folder; {} where a model stands alone."""
    for folder in (run, run.parent):
        try:
            content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            return content
    return {}


def _study_file(run: Path, told: dict[str, Any]) -> Path:
    for word in shlex.split(str(told.get("command", ""))):
        if word.endswith(".toml") and Path(word).is_file():
            return Path(word)
    raise SettingError(
        "the study that this model was trained on is not found from here",
        where=str(run),
        expected="the study file and its tables, to compute again what the model learned from them",
        next_step="name it: m3h check RUN --study study.toml",
    )


def _as_trained(study: Study, fitted: Fitted) -> Study:
    """The study with the seed and the test share of the training; a command may have said others."""
    seed = fitted.recipe.get("seed", study.seed)
    share = fitted.recipe.get("protocol", {}).get("test_share", study.protocol.test_share)
    return study.model_copy(update={"seed": seed, "protocol": dataclasses.replace(study.protocol, test_share=share)})


def _refuse_other_data(data: Dataset, fitted: Fitted, told: dict[str, Any], run: Path) -> None:
    if data.fingerprint == fitted.fingerprint:
        return
    before = told.get("data", {}).get("tables", {})
    now = data.facts.get("fingerprints", {})
    changed = sorted(name for name in before if before[name] != now.get(name))
    recipe = [key for key in ("samples", "sources", "tasks") if fitted.recipe.get(key) != data.recipe.get(key)]
    differs = [*(f"[{key}] of the study file" for key in recipe), *(f'the table of "{name}"' for name in changed[:5])]
    raise DataError(
        "the study is not the one this model was trained on, so nothing can be said of it",
        where=str(run),
        got=", ".join(differs) or "another fingerprint",
        expected="the study file and tables as they were",
        next_step="name the right one with --study, or train the model again",
    )


def _samples(predictions: Path) -> Any:
    import polars as pl

    try:
        found = pl.read_parquet(predictions, columns=["sample"])["sample"].unique().sort()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FolderError("cannot be read", where=str(predictions), next_step="run it again") from error
    return found.to_numpy().astype(str)
