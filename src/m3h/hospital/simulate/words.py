"""The wording of notes: what is known of a patient comes through in phrases, never surely and never alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m3h.hospital.simulate.columns import Bools, Floats
from m3h.hospital.simulate.model import Model
from m3h.hospital.simulate.patients import CLOCK, Block

#: How often a note names a condition that is there, and one that is not: seldom, as a report on something else does,
#: so that most of what can be known of a condition lies in what it shares with others.
NAMED, FALSELY = 0.08, 0.01
EXAMS = (
    ("CT HEAD W/O CONTRAST", "There is no hemorrhage or large territorial infarct. The ventricles are normal in size."),
    ("CT ABD & PELVIS WITH CONTRAST", "The gallbladder and pancreas are unremarkable. There is no free air."),
    ("LIVER OR GALLBLADDER US (SINGLE ORGAN)", "The portal vein is patent. There is no biliary dilatation."),
    ("RENAL U.S.", "There is no hydronephrosis. The bladder is partially distended."),
    ("BILAT LOWER EXT VEINS", "There is normal compressibility and flow of the deep veins."),
    ("CT CHEST W/O CONTRAST", "The airways are patent to the subsegmental level. The thyroid is normal."),
)
QUESTIONS = ("acute process", "interval change", "infection", "fluid overload", "line placement", "bleeding")
ADDENDUM = "ADDENDUM  The findings were discussed with Dr. ___ by telephone at the time of interpretation."


@dataclass(frozen=True)
class Story:
    """What may be said about an admission (or a patient outside of any): probability of each phrase."""

    phrases: tuple[str, ...]
    chances: Floats


def stories(block: Block, model: Model) -> tuple[Story, Story]:
    """Phrases with their chances, (admission, phrase) and (patient, phrase): the words of latent conditions by their
    liability, the names of conditions by whether they are there."""
    known = block.admissions
    # the row of a patient's first admission: the odd ones at the end have conditions too, but no codes
    first = np.searchsorted(known.patient[: int((known.kind < CLOCK).sum())], known.patient)
    phrases: list[str] = []
    inside, outside = [], []
    for name in model.latents:
        at = model.position[name]
        for word in model.words[name]:
            phrases.append(word)
            inside.append(_chance(known.state[:, at]))
            outside.append(_chance(block.patients.calm[:, at]))
    shares = [name for name, task in model.tasks.items() if task.share is not None]
    for name in shares:
        has = block.positive(name)[first] if model.tasks[name].scope == "patient" else block.positive(name)
        ever = np.zeros(len(block.patients.subject), bool)
        if model.tasks[name].scope == "patient":
            ever[known.patient] = has
        for word in model.words[name]:
            phrases.append(word)
            inside.append(np.where(has, NAMED, FALSELY))
            outside.append(np.where(ever, NAMED, FALSELY))
    return Story(tuple(phrases), np.stack(inside, axis=1)), Story(tuple(phrases), np.stack(outside, axis=1))


def _chance(liability: Floats) -> Floats:
    return np.asarray(0.3 / (1 + np.exp(1.6 - 1.6 * liability)))


def said(story: Story, row: int, random: np.random.Generator) -> list[str]:
    """The phrases of one note about this row, in random order."""
    hits = np.flatnonzero(random.random(len(story.phrases)) < story.chances[row])
    return [story.phrases[number] for number in random.permutation(hits).tolist()]


def patient_words(female: bool) -> str:
    """How a report opens: age is hidden in de-identified notes."""
    return f"___ year old {'woman' if female else 'man'}"


def chest_report(
    block: Block, patient: int, phrases: Sequence[str], shown: Bools, view: str, random: np.random.Generator
) -> str:
    """A chest report: history, then what the image shows, then the impression."""
    findings = [item.sentence for item, seen in zip(block.model.findings.values(), shown, strict=True) if seen]
    normal = ["The lungs are clear.", "Heart size is normal.", "There is no effusion or pneumothorax."]
    body = [f"{text[0].upper()}{text[1:]}." for text in findings] or normal
    impression = " ".join(f"{number + 1}. {text}" for number, text in enumerate(body[:3])) or "No acute process."
    return _text(block, patient, view, phrases, " ".join(body), impression if findings else "No acute process.", random)


def other_report(block: Block, patient: int, phrases: Sequence[str], random: np.random.Generator) -> tuple[str, str]:
    """The name and text of an examination of another part of the body."""
    name, body = EXAMS[int(random.integers(0, len(EXAMS)))]
    return name, _text(
        block, patient, name, phrases, body, "No acute process. Clinical correlation is advised.", random
    )


def discharge_summary(block: Block, row: int, names: Sequence[str], phrases: Sequence[str]) -> str:
    """Written at the end, when the diagnoses are known: it names them."""
    patient = int(block.admissions.patient[row])
    who = patient_words(bool(block.patients.female[patient]))
    course = ", ".join(phrases) or "uncomplicated"
    ending = "Expired" if block.positive("mortality_48h")[row] else "Discharged in stable condition"
    listed = "\n".join(f"- {name.replace('_', ' ')}" for name in names) or "- none"
    return (
        f"Name:  ___                  Unit No:   ___\n\nAdmission Date:  ___              Discharge Date:   ___\n\n"
        f"History of Present Illness:\n{who}.\n\nBrief Hospital Course:\n{course}.\n\n"
        f"Discharge Diagnosis:\n{listed}\n\nDischarge Condition:\n{ending}.\n\n___"
    )


def echo_report(liability: float, phrases: Sequence[str]) -> str:
    """A report of an echocardiogram: the ejection fraction falls with the liability to heart failure."""
    fraction = int(np.clip(round(58 - 11 * liability), 10, 75))
    state = "severely depressed" if fraction < 35 else "mildly depressed" if fraction < 50 else "normal"
    return (
        f"PATIENT/TEST INFORMATION:\nIndication: {', '.join(phrases[:3]) or 'left ventricular function'}\n"
        f"LEFT VENTRICLE: Overall left ventricular systolic function is {state} (LVEF = {fraction} %).\n"
        f"RIGHT VENTRICLE: {'Dilated right ventricle.' if liability > 1 else 'Normal chamber size.'}\n"
        f"Electronically signed by ___"
    )


def _text(
    block: Block,
    patient: int,
    exam: str,
    phrases: Sequence[str],
    body: str,
    impression: str,
    random: np.random.Generator,
) -> str:
    who = patient_words(bool(block.patients.female[patient]))
    history = f" with {', '.join(phrases)}" if phrases else ""
    question = QUESTIONS[int(random.integers(0, len(QUESTIONS)))]
    return (
        f"EXAMINATION:  {exam}\n\nINDICATION:  {who}{history}  // {question}?\n\nCOMPARISON:  ___\n\n"
        f"FINDINGS: \n\n{body}\n\nIMPRESSION: \n\n{impression}\n"
    )
