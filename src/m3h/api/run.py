"""The pipeline behind `m3h run`, `train`, `search` and `tim`: study in, run folder out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from m3h.api.appraise import Answering, appraised
from m3h.api.changed import Opponent
from m3h.api.early import check_early
from m3h.api.engine import Failure, finals, opened
from m3h.api.facts import clusters, facts
from m3h.api.given import of_tasks
from m3h.api.model import M3H, check_device
from m3h.api.notes import cautions, notes
from m3h.api.options import Options, overridden
from m3h.api.search import Searched, searched
from m3h.api.tim import Measured, measured
from m3h.api.watch import Watch
from m3h.api.work import Work, making, plain_trials, planned
from m3h.dataset.audit import audit
from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset
from m3h.evaluation.reliance import Reliance
from m3h.evaluation.scores import Prediction
from m3h.experiments import baselines, crossval, results, scoring
from m3h.experiments.departments import department_table
from m3h.experiments.engine import Engine
from m3h.experiments.phenotype_map import map_notes, phenotype_map
from m3h.report.page import write_report
from m3h.study.spec import Study
from m3h.training.trained import TrainedNetwork

#: Told what is going on: the stage in words, and the share of it that is done (None: unknown).
Say = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Finished:
    """What a run left: its folder, its tables by file name, and run.json's content."""

    folder: Path
    tables: Mapping[str, pl.DataFrame]
    facts: dict[str, Any]


@dataclass
class Trained:
    """What was trained: networks by role, the sets that were chosen, interactions, failures and settings."""

    networks: dict[str, list[TrainedNetwork]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    settings: list[crossval.Setting] = field(default_factory=list)
    searched: Searched | None = None
    measured: Measured | None = None


def run(study: Study, out: Path, options: Options, say: Say) -> Finished:
    """Encode, train, evaluate and report; leaves the run folder ``out``, whole or without its run.json.

    Every training is kept in the ledger as soon as it ends, and one that the ledger holds is not trained again: the
    same call after a stop goes on where it was. Test rows are scored once, after all choosing. Errors: those of the
    parts; TrainingError if no training ended well.
    """
    results.check_place(out)
    check_device(options.device)
    watch = Watch()
    study = overridden(study, options)
    ledger = options.ledger or out / results.LEDGER
    check_early(study, options, ledger)
    data = build(
        study,
        cache=options.cache,
        strict=options.strict,
        tasks=options.tasks or None,
        weights=options.weights,
        device=options.device,
        progress=say,
    )
    data = of_tasks(data, options.tasks)
    watch.stage("encode")
    counted = audit(data)
    watch.stage("audit")
    work = planned(study, data, options)
    warned = cautions(study, data, work)
    said = notes(study, data, work, options)
    with opened(
        data,
        ledger,
        executor=options.executor,
        address=options.address,
        memory=options.memory,
        device=options.device,
        waiting=lambda count: say(_waiting(count), None),
    ) as engine:
        done = _train(study, data, work, options, engine, watch, say)
        booked = engine.ledger.counts() | {"new": engine.trained}
    models = _models(study, done, options)
    opponents: list[Opponent] = []
    if options.baseline:
        opponents = _baselines(work.reading(data), work.tasks, say)
        models += _of_opponents(data, opponents)
        watch.stage("baseline")
    say("scoring", None)
    tables = _tables(study, data, work, done, models)
    said = [*said, *map_notes(tables["phenotype_map.csv"])] if models else said
    watch.stage("evaluate")
    reliance = None
    if options.appraise and (answering := _answering(done)):
        found = appraised(data, answering, study.network.preset, study.seed, say, opponents)
        tables |= found.tables
        said = [*said, *found.notes]
        reliance = found.reliance
        watch.stage("appraise")
    told = facts(study, data, work.tasks, options, done.networks, done.failures, done.settings, watch)
    told |= {"audit": counted, "clusters": clusters(data, done.networks.get("joint", [])), "ledger": booked}
    told |= {"search": done.searched.facts} if done.searched else {}
    told |= {"tim": done.measured.facts} if done.measured else {}
    told |= {"warnings": told["warnings"] + warned, "notes": said}
    say("writing", None)
    with results.run_folder(out) as folder:
        results.write_tables(folder, tables)
        if model := _model(data, done, reliance):
            model.save(folder / "model")
        watch.stage("write")
        results.write_json(folder / "run.json", told)
        if options.report:
            # its own seconds stay out of run.json: the page shows what run.json holds, and `m3h report` shows the same
            write_report(folder)
            watch.stage("report")
    return Finished(out, tables, told)


def _waiting(count: int) -> str:
    return f"waiting for {count} training{'' if count == 1 else 's'} of another process with this ledger"


def _train(
    study: Study, data: Dataset, work: Work, options: Options, engine: Engine, watch: Watch, say: Say
) -> Trained:
    done = Trained()
    maker = making(study, data, options)
    trials = plain_trials(work, maker, options)
    chosen, done.settings = crossval.choose(
        engine,
        [trial for some in trials.values() for trial in some],
        study.protocol,
        lambda share: say("choosing settings by cross-validation", share),
    )
    if study.protocol.grid:
        watch.stage("choose")
    by_role = {"single": chosen[: len(trials["single"])], "joint": chosen[len(trials["single"]) :], "best": []}
    if work.search:
        done.searched = searched(engine, maker, work.search, study.search, study.seed, say)
        by_role["best"] = list(done.searched.trials.values())
        watch.stage("search")
    final = [trial for some in by_role.values() for trial in some]
    if final:
        count = len(set(final))
        text = f"training {count} network" + ("" if count == 1 else "s")
        say(text, 0.0)
        networks, done.failures = finals(engine, final, lambda share: say(text, share))
        by_id = {network.trial.id: network for network in networks}
        done.networks = {r: [by_id[t.id] for t in some if t.id in by_id] for r, some in by_role.items()}
        watch.stage("train")
    if work.tim:
        say("measuring interactions", 0.0)
        done.measured = measured(
            engine, maker, work.tim, study.tim, study.seed, lambda share: say("measuring interactions", share)
        )
        watch.stage("tim")
    return done


def _models(study: Study, done: Trained, options: Options) -> list[scoring.Model]:
    """Models to score. A task set of one is the same network under every name; a best set answers for its task."""

    def model(network: TrainedNetwork, role: str, tasks: Sequence[str] | None = None) -> scoring.Model:
        predictions = {n: p for n, p in network.predictions.items() if tasks is None or n in tasks}
        return scoring.Model(role, study.network.preset, network.trial.label, study.seed, predictions)

    found = [model(network, role) for role in ("single", "joint") for network in done.networks.get(role, [])]
    by_id = {network.trial.id: network for network in done.networks.get("best", [])}
    chosen = done.searched.trials if done.searched else {}
    return found + [model(by_id[t.id], "best", [name]) for name, t in chosen.items() if t.id in by_id]


def _answering(done: Trained) -> list[Answering]:
    """What new patients are asked of: for each task the set chosen by search, else its joint network."""
    best = {network.trial.id: network for network in done.networks.get("best", [])}
    chosen = done.searched.trials if done.searched else {}
    by_search = {name: trial.id for name, trial in chosen.items() if trial.id in best}
    found = [
        Answering(network, "best", tuple(name for name, identity in by_search.items() if identity == network.trial.id))
        for network in best.values()
    ]
    return found + [
        Answering(network, "joint", tuple(name for name in network.trial.tasks if name not in by_search))
        for network in done.networks.get("joint", [])
    ]


def _model(data: Dataset, done: Trained, reliance: Mapping[str, Reliance] | None) -> M3H | None:
    answering = _answering(done)
    if not answering:
        return None
    networks = list({one.network.trial.id: one.network for one in answering}.values())
    answers = {name: one.network.trial.id for one in answering for name in one.tasks}
    return M3H.from_networks(networks, data, answers, reliance)


def _tables(
    study: Study, data: Dataset, work: Work, done: Trained, models: Sequence[scoring.Model]
) -> dict[str, pl.DataFrame]:
    tables: dict[str, pl.DataFrame] = {}
    if models:
        scores, differences = scoring.score_tables(_only(data, work.tasks), models)
        tables = {
            "scores.csv": scores,
            "differences.csv": differences,
            "attention.csv": scoring.attention_table(done.networks.get("joint", []), study.network.preset),
            "predictions.parquet": scoring.prediction_table(data, models),
        }
        departments = {name: labels.task.department for name, labels in data.labels.items()}
        tables["departments.csv"] = department_table(departments, scores, differences)
        tables["phenotype_map.csv"] = phenotype_map(data, models)
    if done.searched:
        tables["search.csv"] = done.searched.table
    if done.measured:
        tables["tim.csv"] = done.measured.table
    return tables


def _baselines(data: Dataset, names: Sequence[str], say: Say) -> list[Opponent]:
    todo = [name for name in names if data.labels[name].task.kind != "clustering"]
    found: list[Opponent] = []
    kinds: tuple[baselines.Baseline, ...] = ("lightgbm", "linear")
    for done, (kind, name) in enumerate([(kind, name) for kind in kinds for name in todo]):
        say("training baselines", done / (len(kinds) * len(todo)))
        found.append(Opponent(kind, name, baselines.trained_baseline(data, name, kind, seed=data.seed)))
    return found


def _of_opponents(data: Dataset, opponents: Sequence[Opponent]) -> list[scoring.Model]:
    return [
        scoring.Model(
            "baseline", one.preset, one.task, data.seed, {one.task: Prediction(values=one.asks(data, data.test_rows))}
        )
        for one in opponents
    ]


def _only(data: Dataset, names: Sequence[str]) -> Dataset:
    """The dataset with the tasks of this run, and those that cannot be used, which are listed with an empty value."""
    return data.with_labels({n: part for n, part in data.labels.items() if n in set(names) or part.unusable})
