"""What a run can tell about itself, a sentence or two for each thing that readers of a prediction model ask.

Each function gives "" where the run does not know.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents


def _samples(contents: Contents) -> dict[str, Any]:
    return dict(contents.audit.get("samples") or {})


def _sides(contents: Contents) -> str:
    """``3,164 samples of 3,164 patients for training and 791 of 791 for the test``; "" where nothing was counted."""
    counted = _samples(contents)
    if not counted:
        return ""
    train, test = (
        (words.counted(counted[f"{side}_rows"], "sample"), words.counted(counted[f"{side}_patients"], "patient"))
        for side in ("train", "test")
    )
    return f"{train[0]} of {train[1]} for training, {test[0]} of {test[1]} for the test"


def title(contents: Contents) -> str:
    """What the study calls itself."""
    study = contents.run.get("study") or {}
    name = study.get("title") or study.get("name")
    return (
        f"The study is called “{name}”. It makes a model and tests it on patients of the same collection."
        if name
        else ""
    )


def aim(contents: Contents) -> str:
    """Making or testing."""
    asked = words.counted(len(contents.tasks), "question")
    return f"Making models for {asked} and testing them on patients kept apart (internal test, no other hospital)."


def origin(contents: Contents) -> str:
    """Notes of the study and the fingerprint of its tables."""
    study, data = contents.run.get("study") or {}, contents.run.get("data") or {}
    parts = [f"The study notes: {study['notes'].rstrip('.')}." if study.get("notes") else ""]
    parts.append("Training and test data come from the same tables." if contents.audit.get("samples") else "")
    parts.append(f"Fingerprint of the data: {data['fingerprint']}." if data.get("fingerprint") else "")
    return " ".join(part for part in parts if part)


def inclusion(contents: Contents) -> str:
    """How many there are; why these, only the authors know."""
    counted = _samples(contents)
    if not counted:
        return ""
    rows = words.counted(counted["rows"], "sample")
    return f"Every sample of the study's table: {rows} of {words.counted(counted['patients'], 'patient')}."


def preparation(contents: Contents) -> str:
    """The audit, and which rows were not used."""
    if not contents.audit:
        return ""
    alarms = contents.audit.get("alarms") or []
    found = words.counted(len(alarms), "thing") + " to look at" if alarms else "nothing to look at"
    return (
        "Rows without a time or later than the moment of prediction were left out and counted; an audit looked for "
        f"constant and identical columns and for leaks, and found {found}. It does not look at groups apart."
    )


def outcomes(contents: Contents) -> str:
    """The questions by kind."""
    kinds: dict[str, int] = {}
    for task in contents.tasks:
        if task["kind"]:
            kinds[task["kind"]] = kinds.get(task["kind"], 0) + 1
    if not kinds:
        return ""
    listed = words.listed([f"{count} with the answer {words.KINDS.get(kind, kind)}" for kind, count in kinds.items()])
    return f"{words.counted(len(contents.tasks), 'question')}: {listed}. Labels are read from the study's tables."


def choice_of_inputs(contents: Contents) -> str:
    """Everything that the study names is read."""
    names = [source["name"] for source in contents.audit.get("sources") or []]
    return (
        f"All that the study names was read: {words.listed(names)}. None was selected by its answers." if names else ""
    )


def inputs(contents: Contents) -> str:
    """Sources with kind and encoder."""
    found = [
        f"{source['name']} ({source['modality']} by {source['encoder']}, {words.counted(source['width'], 'number')})"
        for source in contents.audit.get("sources") or []
    ]
    return (
        f"Read are {words.listed(found, len(found))}. Nothing later than the moment of prediction is read."
        if found
        else ""
    )


def sizes(contents: Contents) -> str:
    """How many; no calculation was made."""
    sides = _sides(contents)
    return f"{sides}. All there were; this software calculates no sample size." if sides else ""


def absent(contents: Contents) -> str:
    """What missing means to the model."""
    out = contents.run.get("left_out") or []
    left = f" {words.counted(len(out), 'question')} left out, with the reason." if out else ""
    return (
        "A value that is missing is told to the model as missing, and a source may be absent altogether; no patient is "
        f"left out for it. A sample without an answer takes no part in that question alone.{left}"
    )


def partition(contents: Contents) -> str:
    """The split."""
    sides = _sides(contents)
    if not sides:
        return ""
    given = "given by the study" if _samples(contents).get("split") == "given" else "drawn at random"
    return f"{sides}; the split is by patient and {given}. Test patients were scored once, after all choosing."


def scaling(contents: Contents) -> str:
    """How numbers enter."""
    return (
        "Numbers are scaled by what training patients have; series, texts and images become numbers by the encoders "
        "named under What is at hand."
    )


def kind_of_model(contents: Contents) -> str:
    """Preset, make, tuning."""
    chosen = contents.run.get("settings") or {}
    if not chosen.get("preset"):
        return ""
    fields = chosen.get("fields") or {}
    parts = []
    if fields.get("additive"):
        parts.append("additive models of each question")
        parts += ["boosted trees of each question"] if fields.get("trees") else []
        made = f"{words.listed(parts)}, and a network of all questions that corrects them"
    else:
        made = "a multimodal multitask network with attention between questions"
    return f"Preset {chosen['preset']}: {made}. Training: {chosen.get('setting') or 'not kept'}."


def measures(contents: Contents) -> str:
    """What models were judged by."""
    names = contents.scores.get_column("metric").unique(maintain_order=True).to_list()
    if not names:
        return ""
    more = [
        text
        for name, text in (
            ("calibration", "calibration curves and errors"),
            ("decision", "net benefit"),
            ("operating", "operating points"),
            ("conformal", "coverage of sets and intervals"),
        )
        if not contents.appraisal[name].is_empty()
    ]
    against = [words.series(name) for name in contents.series]
    listed = words.listed([words.metric(name) for name in names] + more, 20)
    return f"{listed}; compared: {words.listed(against)}, by paired differences on the same patients."


def calibrated(contents: Contents) -> str:
    """Recalibration on training patients."""
    if contents.appraisal["calibration"].is_empty():
        return "No model was changed after its test."
    return "Calibrators were fitted to training patients held out, before the test; nothing was changed after it."


def computed(contents: Contents) -> str:
    """By what program."""
    version = contents.run.get("m3h")
    return (
        f"By m3h {version}, from the networks that the run saved; predictions.parquet has every one." if version else ""
    )


def weighing(contents: Contents) -> str:
    """Class imbalance."""
    return (
        "No class was weighed up, resampled or made up, so that risks stay risks; a question's weight in training is "
        "the study's."
    )


def fairness(contents: Contents) -> str:
    """Subgroups compared."""
    frame = contents.appraisal["subgroups"]
    if frame.is_empty():
        return ""
    tested, names = frame.filter(pl.col("p").is_not_null()).height, frame.get_column("group").unique().sort().to_list()
    return (
        f"Scores were compared between subgroups of {words.listed(names)} ({words.counted(tested, 'test')}, corrected "
        "after Holm). Nothing in training makes them more equal."
    )


def output(contents: Contents) -> str:
    """Risks, classes, numbers, groups; thresholds."""
    known = not contents.appraisal["operating"].is_empty()
    tail = " Thresholds reach 80, 90 and 95 % sensitivity in training patients held out." if known else ""
    return f"Risks for questions of yes or no and of classes, a number in its unit, or a group.{tail}"


def difference(contents: Contents) -> str:
    """Table one has both sides."""
    if not contents.audit.get("samples"):
        return ""
    return "Both parts come from the same tables, questions and inputs; table 1 sets them beside one another."


def code(contents: Contents) -> str:
    """The program's licence."""
    version = contents.run.get("m3h")
    return f"m3h {version} is free software (Apache-2.0); the command is kept under How it was made." if version else ""


def flow(contents: Contents) -> str:
    """Samples of each step."""
    sides = _sides(contents)
    return f"A diagram shows them: {sides}; each question's yes and no stand under What is asked." if sides else ""


def characteristics(contents: Contents) -> str:
    """Table one."""
    columns = contents.audit.get("table_one") or contents.audit.get("subgroups")
    return "Table 1, with known values counted; coverage of each source under What is at hand." if columns else ""


def compared(contents: Contents) -> str:
    """Training beside test in table one."""
    return (
        "Table 1 and the table of questions have a column for either part." if contents.audit.get("table_one") else ""
    )


def events(contents: Contents) -> str:
    """Labelled samples and events of each question."""
    if not any(task.get("train") for task in contents.tasks):
        return ""
    return "The table of questions has answers and events of either part; the calibration table those of the test."


def model(contents: Contents) -> str:
    """Where the whole model is."""
    if not {"joint", "best"} & set(contents.series):
        return ""
    return "The folder model of the run has all of it; m3h predict applies it to new tables."


def performance(contents: Contents) -> str:
    """Scores with intervals."""
    groups = " Subgroups are under Can it be trusted?" if not contents.appraisal["subgroups"].is_empty() else ""
    return f"Every score has a 95 % interval, drawn by patient.{groups}"


def updated(contents: Contents) -> str:
    """Nothing was updated after the test."""
    return "No model was changed after its test."


def limits(contents: Contents) -> str:
    """One collection, one split."""
    return "One collection of patients, one split, one training of each network; care as it was given and recorded."


def poor_input(contents: Contents) -> str:
    """Measured robustness."""
    if contents.appraisal["robustness"].is_empty():
        return ""
    return "Measured: scores without each source, with noise and with holes. A source may be absent in use."


def users(contents: Contents) -> str:
    """What users do."""
    return (
        "Tables of the study's names and units are needed; m3h predict refuses others. Reading risks and their limits "
        "takes a clinician and somebody who knows the data."
    )
