"""Why a run's model says what it says: what its sources and features are worth, how far attention reaches, and what
becomes of its scores when the input changes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from m3h.api.changed import Opponent, robustness_table
from m3h.api.phenotypes import phenotype_table, stability_table
from m3h.api.reasons import explanations
from m3h.dataset.dataset import Dataset
from m3h.experiments.scoring import table_of
from m3h.explain.attention import attention_facts
from m3h.explain.outputs import chosen_rows, gate
from m3h.explain.sources import ask_sources, source_importance
from m3h.training.trained import TrainedNetwork

_VALUE = dict.fromkeys(("value", "low", "high"), pl.Float64)
SOURCES = {
    **dict.fromkeys(("task", "role", "metric", "source"), pl.String),
    "n": pl.Int64,
    **_VALUE,
    **dict.fromkeys(("with_all", "with_none"), pl.Float64),
}
GATES = {
    **dict.fromkeys(("task", "task_set"), pl.String),
    **dict.fromkeys(("gate", "own", "entropy", "between_rows"), pl.Float64),
}
NO_CAPTUM = "features were not explained: that needs Captum, in the extra explain"
#: Rows that are asked in every coalition of sources, and whose attention is looked at.
ASKED, LOOKED_AT = 2000, 1000


def source_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """sources.csv: each task's headline score split among the sources (Shapley values), on test rows."""
    rows = chosen_rows(data, None, ASKED)
    found = source_importance(ask_sources(network, data, tasks=tasks, rows=rows), data)
    made = [
        {"task": one.task, "role": role, "metric": one.metric, "n": one.n, "with_all": one.with_all}
        | {"with_none": one.with_none, "source": part.source, "value": part.value, "low": part.low, "high": part.high}
        for one in found
        for part in one.shares
    ]
    return table_of(made, SOURCES)


def gate_table(data: Dataset, network: TrainedNetwork) -> pl.DataFrame:
    """gates.csv: of each task of a joint network how much of its correction is believed, the attention it keeps for
    itself, how even its attention is (1: all tasks alike), and how far it differs between patients."""
    found = attention_facts(network, data, chosen_rows(data, None, LOOKED_AT))
    made = [
        {"task": name, "task_set": network.trial.label, "gate": float(found.gates[number])}
        | {"own": float(found.own[number]), "entropy": float(found.entropy[number])}
        | {"between_rows": float(found.between_rows[number].max())}
        for number, name in enumerate(found.tasks)
    ]
    return table_of(made, GATES)


def explained(
    data: Dataset,
    network: TrainedNetwork,
    role: str,
    preset: str,
    tasks: Sequence[str],
    opponents: Sequence[Opponent],
    say: Callable[[str], None],
) -> Iterator[tuple[str, pl.DataFrame | str]]:
    """Table after table by file name, of the network's ``tasks``; or in a sentence why there is none. Clusterings have
    no output to explain, and groups to describe. ``opponents`` are asked with changed inputs too, and ``say`` is told
    what is going on."""
    if not len(data.test_rows):
        return
    named = [name for name in tasks if data.labels[name].task.kind != "clustering"]
    groupings = [name for name in tasks if name not in named and name in network.centres]
    if named:
        say("asking without each source")
        yield "sources.csv", source_table(data, network, role, named)
        say("explaining features")
        features = None
        if missing_captum(network, named):
            yield "features.csv", NO_CAPTUM
        else:
            for name, table in explanations(data, network, role, named):
                features = table if features is None else features
                yield name, table
        say("asking with changed inputs")
        yield "robustness.csv", robustness_table(data, network, role, preset, named, opponents, features)
    if groupings:
        say("describing groups")
        yield "phenotypes.csv", phenotype_table(data, network, role, groupings)
        yield "stability.csv", stability_table(data, network, role, groupings)
    if len(network.trial.tasks) > 1:
        yield "gates.csv", gate_table(data, network)


def missing_captum(network: TrainedNetwork, tasks: Sequence[str]) -> bool:
    """Whether the network itself has a part in what it says, and not its task models alone, but Captum is missing."""
    needed = any(gate(network, network.trial.tasks.index(name)) != 0 for name in tasks)
    return needed and importlib.util.find_spec("captum") is None
