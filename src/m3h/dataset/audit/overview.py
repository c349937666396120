"""What is in a dataset, and what to know of it before a model is trusted: counts and aggregates, never a patient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.registry import DEFAULT_ENCODERS
from m3h.dataset.audit.alarms import alarm, leak_alarms
from m3h.dataset.audit.leaks import constant_columns, equal_columns, identical_columns
from m3h.dataset.dataset import Dataset, Labels, Rows
from m3h.encoders.block import Block

LEVELS = 20
_SHOWN = 5

Json = dict[str, Any]


def overview(dataset: Dataset) -> Json:
    """The dataset's samples, sources, tasks, subgroups and first table as JSON data, and the alarms.

    Shares lie between 0 and 1, statistics are in the unit given beside them and None where nothing is known; train
    and test are the sides of the split. Constant, identical and label-like columns are looked for among the training
    rows. "diagnoses" counts the rows of the table that labels by codes come from, {} where there are none.
    """
    report = {
        "samples": _samples(dataset),
        "sources": [_source(dataset, name, block) for name, block in dataset.blocks.items()],
        "tasks": [_task(dataset, labels) for labels in dataset.labels.values()],
        "diagnoses": dict(dataset.facts.get("diagnoses", {})),
        "subgroups": [_subgroup(dataset, name, values) for name, values in dataset.subgroups.items()],
        "table_one": list(_table_one(dataset)),
    }
    return report | {"alarms": list(_alarms(dataset, report))}


def _samples(dataset: Dataset) -> Json:
    train, test = dataset.train_rows, dataset.test_rows
    return {
        "rows": dataset.samples,
        "patients": _patients(dataset, np.arange(dataset.samples)),
        "train_rows": len(train),
        "test_rows": len(test),
        "train_patients": _patients(dataset, train),
        "test_patients": _patients(dataset, test),
        "split": dataset.facts.get("split", {}).get("by", "given"),
    }


def _patients(dataset: Dataset, rows: Rows) -> int:
    return len(np.unique(dataset.patients[rows]))


def _source(dataset: Dataset, name: str, block: Block) -> Json:
    facts = dataset.facts.get("sources", {}).get(name, {})
    train = block.values[dataset.train_rows]
    constant = [column for column in constant_columns(train) if not _reserved(block, column)]
    return {
        "name": name,
        "modality": block.modality,
        "encoder": _encoder(dataset, name, block),
        "width": block.width,
        "coverage_train": _share(block.present[dataset.train_rows]),
        "coverage_test": _share(block.present[dataset.test_rows]),
        "counts": dict(facts.get("counts", {})),
        "unreadable": len(block.unreadable),
        "constant_columns": [block.names[column] for column in constant],
        "identical_columns": [[block.names[column] for column in group] for group in identical_columns(train)],
    }


def _reserved(block: Block, column: int) -> bool:
    """Whether an encoder keeps the column for categories that no training row has; it says nothing of the data."""
    return block.modality == "tabular" and block.names[column].endswith("=unknown")


def _encoder(dataset: Dataset, name: str, block: Block) -> str:
    for source in dataset.recipe.get("sources", ()):
        if source["name"] == name and source["encoder"]:
            return str(source["encoder"])
    return DEFAULT_ENCODERS.get(block.modality, "")


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _task(dataset: Dataset, labels: Labels) -> Json:
    task = labels.task
    return {
        "name": task.name,
        "kind": task.kind,
        "department": task.department,
        "unit": task.unit,
        "classes": list(labels.classes),
        "excluded_sources": list(task.exclude_sources),
        "unusable": labels.unusable,
        "unknown_class": labels.unknown_class,
        "train": _side(dataset, labels, dataset.train_rows),
        "test": _side(dataset, labels, dataset.test_rows),
    }


def _side(dataset: Dataset, labels: Labels, rows: Rows) -> Json:
    rows = rows[labels.known[rows]]
    values = labels.values[rows]
    side: Json = {"labelled": len(rows), "patients": _patients(dataset, rows)}
    if labels.task.kind == "binary":
        return side | {"positive": int(values.sum()), "prevalence": _share(values == 1)}
    if labels.task.kind == "multiclass":
        return side | {"shares": {name: _share(values == index) for index, name in enumerate(labels.classes)}}
    if labels.task.kind == "regression":
        return side | _statistics(values)
    return side


def _statistics(values: NDArray[Any]) -> Json:
    """Mean, standard deviation (n - 1) and quartiles; None where there are too few values."""
    if len(values) == 0:
        return dict.fromkeys(("mean", "sd", "median", "q1", "q3"))
    values = values.astype(np.float64)
    q1, median, q3 = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()), "sd": sd, "median": median, "q1": q1, "q3": q3}


def _subgroup(dataset: Dataset, name: str, values: NDArray[Any]) -> Json:
    levels, index, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    # a level is a row of its own only among the most frequent
    place = np.full(len(levels), LEVELS)
    place[order[:LEVELS]] = np.arange(min(LEVELS, len(levels)))
    names = [str(level) or "missing" for level in levels[order[:LEVELS]]]
    if len(levels) > LEVELS:
        names.append("other")
    train = np.bincount(place[index[dataset.train_rows]], minlength=len(names))
    test = np.bincount(place[index[dataset.test_rows]], minlength=len(names))
    rows = zip(names, train.tolist(), test.tolist(), strict=True)
    return {"name": name, "levels": [{"level": level, "train": a, "test": b} for level, a, b in rows]}


def _table_one(dataset: Dataset) -> Iterator[Json]:
    for name, block in dataset.blocks.items():
        if block.modality != "tabular":
            continue
        for column, (title, unit) in enumerate(zip(block.names, block.units, strict=True)):
            sides = {"train": dataset.train_rows, "test": dataset.test_rows}
            yield {"source": name, "column": title, "unit": unit} | {
                side: _known(block.values[rows, column]) for side, rows in sides.items()
            }


def _known(values: NDArray[Any]) -> Json:
    values = values[~np.isnan(values)]
    return {"known": len(values)} | _statistics(values)


def _alarms(dataset: Dataset, report: Mapping[str, Any]) -> Iterator[Json]:
    if "fingerprints" in dataset.facts and "tables" not in dataset.facts:
        yield {"kind": "tables not looked at", "text": "its tables and texts were not searched for leaks"}
    for source in report["sources"]:
        for kind, text in _source_alarms(source):
            yield {"kind": kind, "text": f'source "{source["name"]}": {text}'}
    equal: set[tuple[str, str]] = set()
    for labels in dataset.labels.values():
        for kind, text in _task_alarms(labels):
            yield {"kind": kind, "text": f'task "{labels.task.name}": {text}'}
        for source, column, text in _equal_alarms(dataset, labels):
            equal.add((labels.task.name, source))
            whole = f'task "{labels.task.name}": {text}'
            yield alarm("feature equals label", whole, [source], [column], 1.0) | {"task": labels.task.name}
    for one in leak_alarms(dataset):
        # what equals the answer also tells it
        if not any((one.get("task", ""), source) in equal for source in one["sources"]):
            yield one


def _source_alarms(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for side, share in (("training", source["coverage_train"]), ("test", source["coverage_test"])):
        if share == 0:
            yield "no coverage", f"has nothing for any sample of the {side} part"
    counts = source["counts"]
    missing, later = counts.get("missing_time", 0), counts.get("later", 0)
    if missing or later:
        text = f"left out: {missing:,} rows without a time, {later:,} later than the sample's time"
        yield "times left out", f"{text} ({counts.get('rows', 0):,} rows in the table)"
    if source["unreadable"]:
        have = "1 sample has" if source["unreadable"] == 1 else f"{source['unreadable']:,} samples have"
        yield "unreadable images", f"{have} an image that cannot be read; taken as absent"
    if source["constant_columns"]:
        number = len(source["constant_columns"])
        never = "1 column never changes" if number == 1 else f"{number:,} columns never change"
        text = f"{never} among the training rows (of {source['width']:,})"
        yield "constant column", f"{text}: {_listed(source['constant_columns'])}"
    if source["identical_columns"]:
        groups = [" = ".join(group[:_SHOWN]) for group in source["identical_columns"]]
        these = f"{len(groups):,} groups of columns are" if len(groups) > 1 else "a group of columns is"
        yield "identical columns", f"{these} identical among the training rows: {_listed(groups, '; ')}"


def _task_alarms(labels: Labels) -> Iterator[tuple[str, str]]:
    if labels.unusable:
        yield "unusable task", f"left out: {labels.unusable}"
    if labels.unknown_class:
        text = f"test rows with a class that no training row has, taken as unlabelled: {labels.unknown_class:,}"
        yield "unknown classes", text


def _equal_alarms(dataset: Dataset, labels: Labels) -> Iterator[tuple[str, str, str]]:
    """Source, column and text for each finding."""
    if labels.task.kind == "clustering":
        return
    rows = dataset.train_rows
    for name, block in dataset.blocks.items():
        if name in labels.task.exclude_sources:
            continue
        found = equal_columns(block.values[rows], labels.values[rows], labels.task.kind, dataset.patients[rows])
        names = [f'"{block.names[column]}"' for column in found]
        # of many columns that are one finding, as of one image or text, one note
        parts = [(block.names[column], f"column {one} of source") for column, one in zip(found, names, strict=True)]
        if len(names) > _SHOWN:
            parts = [(block.names[found[0]], f"{len(names)} columns, such as {', '.join(names[:3])}, of source")]
        for column, part in parts:
            text = f'{part} "{name}" {"give" if len(names) > _SHOWN else "gives"} the answer away'
            yield name, column, f"{text}; name the source in exclude_sources or drop the column"


def _listed(names: list[str], joint: str = ", ") -> str:
    more = f"{joint}and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return joint.join(names[:_SHOWN]) + more
