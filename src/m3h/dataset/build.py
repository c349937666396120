"""From a study's tables to a dataset; and from new patients' tables to one that a trained model can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError, SettingError, StudyError, nearest
from m3h.core.fingerprint import NUMERICS, canonical, fingerprint
from m3h.dataset.audit.looks import look
from m3h.dataset.dataset import Dataset, Labels, Strings
from m3h.dataset.missing import hints
from m3h.dataset.split import split_patients
from m3h.dataset.usable import reason_unusable
from m3h.encoders import options
from m3h.encoders.block import Block, EncoderState
from m3h.encoders.cache import Encoded, default_cache, encode, encode_new
from m3h.encoders.mistakes import read_study as read_study
from m3h.encoders.surroundings import Device, around
from m3h.hospital import check
from m3h.hospital.codes import CodedLabels, read_codes
from m3h.hospital.inputs import absent, read_source, source_fingerprint
from m3h.hospital.labels import RawLabels, read_all, read_labels
from m3h.hospital.labels import encode as encode_labels
from m3h.hospital.samples import SampleTable, read_samples
from m3h.hospital.sources import Counts
from m3h.hospital.tables import Tables
from m3h.study.spec import Source, Study
from m3h.study.task import Task

_SHOWN = 3


def build(
    study: Study,
    *,
    cache: str | Path | None = "default",
    strict: bool = False,
    tasks: Sequence[str] | None = None,
    weights: str | Path | None = None,
    device: Device = "cpu",
    looks: bool = True,
    progress: Callable[[str, float | None], None] | None = None,
) -> Dataset:
    """Read and encode everything a study names.

    The dataset holds all tasks of the study, also those that cannot be used, with their reasons; ``tasks`` are names
    that must be usable. Encoders are fitted on the training part; ``cache`` is a folder, "default" the user's, and None
    encodes everything anew. A broken image makes its source absent for the sample and is counted; ``strict`` makes it
    an error. Pretrained weights are looked for in the folder ``weights``, then in the user's cache folder, and run on
    ``device``. Without ``looks`` the tables and texts are not searched for leaks (``facts["tables"]``), which takes
    time that only an audit pays back.
    ``progress`` is told each step in words, and how far it is (0 to 1) where that is known. Errors: StudyError with all
    mistakes of tables, columns and options; DataError where values do not fit, a patient is on both sides of a given
    split, or no task can be used; WeightsError; SettingError for a name in ``tasks`` that is unknown or cannot be used.
    """
    say = progress or (lambda text, share: None)
    _check_names(study, tasks or ())
    place = default_cache() if cache == "default" else None if cache is None else Path(cache)
    weights = None if weights is None else Path(weights)
    around_encoders = around(weights=weights, device=device, embeddings=place, memory={}, told=say)
    with around_encoders, Tables(study) as tables:
        _refuse_mistakes(study, tables)
        for source in study.sources:
            options.make(source)  # pretrained weights that are missing are told before anything is read
        say("reading samples and labels", None)
        samples = read_samples(tables, study)
        raw, coded = read_all(tables, study, samples)
        sides, split_facts = _sides(study, samples, raw)
        labels = {one.task.name: _labels(one, sides) for one in raw}
        prints = {source.name: source_fingerprint(tables, study, samples, source) for source in study.sources}
        prints |= _code_prints(tables, study)
        # without blocks first: a wrong split or a task without labels is told before hours of encoding
        dataset = _assemble(study, samples, sides, labels, {"samples": tables.fingerprint(study.samples), **prints})
        _check_usable(dataset, tasks or ())
        encoded: dict[str, Encoded] = {}
        for source in study.sources:
            say(f"encoding {source.name}", None)
            read = partial(read_source, tables, study, samples, source)
            encoded[source.name] = encode(source, read, sides == "train", key=prints[source.name], cache=place)
            if encoded[source.name].cached:
                say(f"{source.name} was encoded before and is taken from the cache", None)
            _check_readable(source, samples, encoded[source.name].block, strict)
        counts = {name: _counts(one.counts, one.block) for name, one in encoded.items()}
        dataset = replace(
            dataset,
            blocks={name: one.block for name, one in encoded.items()},
            states={name: one.state for name, one in encoded.items()},
            facts={**dataset.facts, "split": split_facts, "sources": counts, **_code_facts(coded)},
        )
        if not looks:
            return dataset
        say("looking for leaks in the tables", None)
        found = look(tables, study, samples, dataset)
    return replace(dataset, facts={**dataset.facts, "tables": found})


def build_new(
    study: Study,
    states: Mapping[str, EncoderState],
    data: Path,
    classes: Mapping[str, tuple[str, ...]],
    *,
    weights: Path | None = None,
) -> Dataset:
    """New patients, encoded by what the encoders learned when a model was trained; all of them are "test".

    ``data`` is a folder with tables of the study's names or one samples file. ``classes`` are those of the multiclass
    tasks as trained. Label columns, and a table of diagnoses, are read where they are there; else their tasks are
    unlabelled. A source that is missing is absent for all samples and named in ``facts["missing_sources"]``;
    ``facts["absent"]`` says of every source that no sample has what was looked for and what is there.
    ``weights`` as in :func:`build`. Errors: StudyError or DataError where tables do not fit the study, SettingError for
    a source without a state, WeightsError.
    """
    with around(weights=weights, memory={}), Tables(study, data=data) as tables:
        mistakes = check.problems(study, tables, labels=False)
        if mistakes:
            raise StudyError(str(data), mistakes, "the tables of new patients")
        samples = read_samples(tables, study)
        coded = read_codes(tables, study, samples)
        labels = {task.name: _new_labels(samples, task, classes.get(task.name, ()), coded) for task in study.tasks}
        blocks: dict[str, Block] = {}
        counts: dict[str, Any] = {}
        prints = {"samples": tables.fingerprint(study.samples)}
        missing = [source.name for source in study.sources if not tables.has(source)]
        for source in study.sources:
            if source.name not in states:
                raise SettingError(f'nothing was learned for source "{source.name}"{nearest(source.name, states)}')
            texts = _text_columns(source, states[source.name])
            if source.name in missing:
                given = absent(samples, source, texts=texts)
            else:
                given = read_source(tables, study, samples, source, texts=texts)
                prints[source.name] = source_fingerprint(tables, study, samples, source)
            block = encode_new(source, given, states[source.name])
            blocks[source.name] = block
            counts[source.name] = _counts(given.counts, block)
        dataset = _assemble(study, samples, np.full(len(samples.ids), "test"), labels, prints)
        told = hints(tables, data, blocks, missing, counts)
    facts = {**dataset.facts, "split": {"by": "new patients"}, "sources": counts}
    facts |= {"missing_sources": missing, "absent": told}
    return replace(dataset, blocks=blocks, states=states, facts=facts)


def _text_columns(source: Source, state: EncoderState) -> list[str] | None:
    """The columns that were texts in training: among few new patients the values themselves may not tell."""
    if source.encoder_name != "tabular/tabular":
        return None
    return [column["name"] for column in state.facts["columns"] if column["categories"] is not None]


def _check_names(study: Study, tasks: Sequence[str]) -> None:
    known = [task.name for task in study.tasks]
    for name in tasks:
        if name not in known:
            raise SettingError(f'unknown task "{name}"{nearest(name, known)}')


def _refuse_mistakes(study: Study, tables: Tables) -> None:
    mistakes = [*check.problems(study, tables), *options.problems(study)]
    if mistakes:
        raise StudyError(_where(study), mistakes)


def _where(study: Study) -> str:
    return str(study.file) if study.file else study.name


def _sides(study: Study, samples: SampleTable, raw: Sequence[RawLabels]) -> tuple[Strings, dict[str, Any]]:
    if samples.split is not None:
        return samples.split, {"by": "given"}
    made = split_patients(samples.patients, raw, seed=study.seed, share=study.protocol.test_share)
    return made.sides, {"by": "by patient", "attempts": made.attempts}


def _counts(counts: Counts, block: Block) -> dict[str, Any]:
    return {"counts": asdict(counts), "unreadable": len(block.unreadable)}


def _labels(raw: RawLabels, sides: Strings) -> Labels:
    encoded = encode_labels(raw, sides == "train")
    return Labels(
        task=raw.task,
        values=encoded.values,
        classes=encoded.classes,
        unknown_class=encoded.unknown_class,
        unusable=reason_unusable(raw.task, encoded.values, sides),
    )


def _code_prints(tables: Tables, study: Study) -> dict[str, str]:
    """The fingerprint of the diagnoses that labels come from; no source can have its name, which holds a colon."""
    if study.diagnoses is None or not any(task.codes for task in study.tasks):
        return {}
    content = [study.diagnoses.model_dump(exclude={"table", "query"}), tables.fingerprint(study.diagnoses)]
    return {"labels: diagnoses": fingerprint(content)}


def _code_facts(coded: CodedLabels) -> dict[str, Any]:
    return {} if coded.counts is None else {"diagnoses": asdict(coded.counts)}


def _new_labels(samples: SampleTable, task: Task, classes: tuple[str, ...], coded: CodedLabels) -> Labels:
    """Labels in the classes of training; a class that training did not have is unlabelled and counted."""
    nothing: NDArray[np.float64] = np.full(len(samples.ids), np.nan)
    if task.codes:
        values = coded.values[task.name]
        return Labels(task, values, unusable="no labels" if np.isnan(values).all() else "")
    if task.kind != "clustering" and (task.column or task.name) not in samples.frame.columns:
        return Labels(task, nothing, classes, unusable="no labels")
    raw = read_labels(samples, task)
    if raw.texts is None:
        assert raw.numbers is not None
        return Labels(task, raw.numbers, classes)
    index = {name: float(number) for number, name in enumerate(classes)}
    values = np.array([index.get(text, np.nan) for text in raw.texts], dtype=np.float64)
    unknown = sum(text is not None and text not in index for text in raw.texts)
    return Labels(task, values, classes, unknown_class=unknown)


def _assemble(
    study: Study, samples: SampleTable, sides: Strings, labels: Mapping[str, Labels], prints: Mapping[str, str]
) -> Dataset:
    return Dataset(
        name=study.name,
        title=study.title,
        seed=study.seed,
        ids=samples.ids,
        patients=samples.patients,
        split=sides,
        blocks={},
        labels=labels,
        subgroups=samples.subgroups,
        fingerprint=_fingerprint(study, prints),
        recipe=_recipe(study),
        facts={"fingerprints": dict(prints)},
    )


def _fingerprint(study: Study, prints: Mapping[str, str]) -> str:
    """Of what the dataset follows from; how networks are trained on it is the trial's business."""
    content = _recipe(study)
    return fingerprint(
        {
            "numerics": NUMERICS,
            "study": {key: content[key] for key in ("name", "seed", "samples", "sources", "tasks")},
            "test_share": None if study.samples.split else study.protocol.test_share,
            "encoders": {source.name: _encoder(source) for source in study.sources},
            "tables": dict(prints),
        }
    )


def _encoder(source: Source) -> list[Any]:
    encoder = options.make(source)
    # of encoders with pretrained weights, which these are
    weights = getattr(encoder, "pretrained", None)
    return [source.encoder_name, encoder.version, canonical(encoder), *([weights] if weights else [])]


def _recipe(study: Study) -> dict[str, Any]:
    """The study as JSON data; where its folder lies on this machine stays out."""
    recipe = study.model_dump(mode="json", exclude={"folder", "file"})
    for part in filter(None, (recipe["samples"], recipe["diagnoses"], *recipe["sources"])):
        for key in ("table", "query", "folder"):
            if part.get(key) and PurePath(part[key]).is_absolute():
                part[key] = PurePath(part[key]).name
    return recipe


def _check_usable(dataset: Dataset, tasks: Sequence[str]) -> None:
    dataset.task_set(tasks)
    if not dataset.usable():
        reasons = [f'"{name}": {labels.unusable}' for name, labels in dataset.labels.items()]
        more = f" and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        raise DataError(
            "no task can be trained and scored",
            where=dataset.name,
            got="; ".join(reasons[:_SHOWN]) + more,
            next_step="check the label columns and the split",
        )


def _check_readable(source: Source, samples: SampleTable, block: Block, strict: bool) -> None:
    broken = sorted(int(samples.rows[row]) for row in block.unreadable)
    if strict and broken:
        numbers = ", ".join(map(str, broken[:_SHOWN])) + (", ..." if len(broken) > _SHOWN else "")
        have = "1 sample has" if len(broken) == 1 else f"{len(broken)} samples have"
        raise DataError(
            f"{have} an image that cannot be read",
            where=f'source "{source.name}"',
            got=f"rows {numbers} of the samples table",
            next_step="replace the files, or run without --strict to take the source as absent for these samples",
        )
