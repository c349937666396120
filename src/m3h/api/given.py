"""What is given to the functions of this library in Python, checked before anything else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from m3h.core.errors import SettingError, nearest
from m3h.dataset.dataset import Dataset
from m3h.study.fields import take
from m3h.study.presets import Protocol

Rule = Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]


def dataset_given(data: object) -> Dataset:
    """``data``, if it is a dataset. Errors: SettingError that says how to make one."""
    if isinstance(data, Dataset):
        return data
    raise SettingError(
        "this is no dataset",
        got=f"a {type(data).__name__}",
        expected="an m3h.Dataset",
        next_step="give m3h.dataset(m3h.Study.read(path)), where path is that of a study.toml",
    )


def names_given(tasks: Sequence[str]) -> tuple[str, ...]:
    """The names of tasks. Errors: SettingError for one text, whose letters would pass for names, or what is no text."""
    if isinstance(tasks, str) or not all(isinstance(name, str) for name in tasks):
        raise SettingError(
            "tasks are given as a list of names",
            got=f'the text "{tasks}"' if isinstance(tasks, str) else "something that is no text among the names",
            expected=f'tasks=["{tasks}"]' if isinstance(tasks, str) else 'such as tasks=["death", "stay"]',
        )
    return tuple(tasks)


def of_tasks(data: Dataset, names: Sequence[str]) -> Dataset:
    """The dataset with the tasks ``names`` alone, in the order of the study; with none named, as it is.

    Errors: SettingError for a name that is unknown or cannot be used.
    """
    if not names:
        return data
    labels = {name: data.labels[name] for name in data.task_set(names)}
    tables = dict(data.facts.get("tables", {}))
    if "beside" in tables:  # what was seen in the tables of other tasks is no matter of these
        tables["beside"] = [one for one in tables["beside"] if one["task"] in labels]
    return replace(data, labels=labels, facts={**data.facts, "tables": tables} if tables else data.facts)


def options_given(spec: type, values: Mapping[str, Any], rule: Rule, *, where: str) -> dict[str, Any]:
    """The fields of ``spec`` that were given, ``tasks`` aside. Errors: SettingError with every mistake: an unknown
    name, a value of another type, or one outside its range."""
    known = [name for name in spec.__annotations__ if name != "tasks"]
    mistakes = [f"unknown option {name}{nearest(name, known)}" for name in values if name not in known]
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
        if name in known and value is not None
    }
    fitting = take(spec, plain, lambda _, message: mistakes.append(message))
    mistakes += [message for _, message in rule(fitting)]
    if mistakes:
        raise SettingError("; ".join(mistakes), where=where)
    return fitting


def check_folds_given(folds: int | None, protocol: Protocol, *, where: str) -> None:
    """Errors: SettingError for more folds than the protocol has."""
    if folds is not None and folds > protocol.folds:
        raise SettingError(
            f"{folds} folds for {where}",
            expected=f"at most the protocol's {protocol.folds}",
            next_step="ask for fewer, or set folds of the protocol ([protocol] in a study file)",
        )


def check_folds(data: Dataset, count: int) -> None:
    """Errors: SettingError if the training part has too few patients for ``count`` folds."""
    patients = len(np.unique(data.patients[data.train_rows]))
    if patients < count:
        raise SettingError(
            f"{count} folds of {patients} training patients",
            where="[protocol]",
            expected="a patient or more for each fold",
            next_step=f"set folds in [protocol] to {patients} or fewer" if patients > 1 else "gather more patients",
        )


def tell(texts: Iterable[str]) -> None:
    """Tell whoever called this library, as Python warnings."""
    for text in texts:
        warnings.warn(text, stacklevel=3)
