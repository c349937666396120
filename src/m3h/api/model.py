"""M3H: one model for many questions, from fitting to new patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from m3h.api import saved
from m3h.api.folder import study_of
from m3h.api.given import dataset_given, names_given
from m3h.api.held import relied
from m3h.api.saved import Attention, Fitted
from m3h.core.errors import DataError, SettingError, TrainingError, nearest
from m3h.dataset.build import build_new
from m3h.dataset.dataset import Dataset, Rows
from m3h.encoders.surroundings import around
from m3h.encoders.weights.store import check_folder
from m3h.evaluation.reliance import Reliance
from m3h.evaluation.scores import Prediction
from m3h.study import rules
from m3h.study.fields import take
from m3h.study.presets import DEFAULT_PRESET, PRESETS, Preset, Protocol, protocol_of
from m3h.training.fleet import Progress, train
from m3h.training.predict import apply
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import make_trial

if TYPE_CHECKING:
    import polars

Device = Literal["cpu", "cuda", "mps"]
DEVICES: tuple[Device, ...] = ("cpu", "cuda", "mps")


class M3H:
    """A multimodal multitask model: ``M3H().fit(dataset).predict("new-patients/")``.

    ``preset`` names the network (m3h.study.presets) and ``overrides`` are fields of it, such as ``alpha=0.2``; those of
    a study file are ``M3H(study.network.preset, **study.network.overrides)``. ``protocol`` says how training goes;
    None is what the dataset's study says, and else what goes with the preset.
    Errors: SettingError for an unknown preset, field, value or device.
    """

    def __init__(
        self,
        preset: str = DEFAULT_PRESET,
        *,
        device: Device = "cpu",
        protocol: Protocol | None = None,
        **overrides: Any,
    ) -> None:
        self.preset = _preset(preset, overrides)
        if device not in DEVICES:
            raise SettingError(f'unknown device "{device}"{nearest(device, DEVICES)}')
        self.device: Device = device
        self.protocol = protocol
        self._fitted: Fitted | None = None
        self._attention: Attention = {}

    def fit(
        self,
        dataset: Dataset,
        tasks: Sequence[str] | None = None,
        *,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> M3H:
        """Train on the training rows: one joint network per distinct list of excluded sources among ``tasks``.

        ``tasks`` None are all that can be used; ``seed`` None is the study's; ``progress`` is called with the share
        done. Gives the model itself. Errors: SettingError for tasks that are unknown or cannot be used, or a device
        that is not there; TrainingError if a training does not end well.
        """
        check_device(self.device)
        dataset = dataset_given(dataset)
        sets = task_sets(dataset, dataset.usable() if tasks is None else names_given(tasks))
        protocol = self.protocol or _protocol(dataset, self.preset)
        trials = [
            make_trial(dataset, names, preset=self.preset, protocol=protocol, seed=seed, device=self.device)
            for names in sets
        ]
        evaluate = len(dataset.test_rows) > 0
        networks = list(train(dataset, trials, evaluate=evaluate, progress=progress))
        for network in networks:
            if network.failed:
                raise TrainingError(
                    network.failed,
                    where=network.trial.label,
                    next_step="lower the learning rate, or look for extreme values with m3h check",
                )
        self._take(sorted(networks, key=lambda network: sets.index(network.trial.tasks)), dataset)
        return self

    @classmethod
    def from_networks(
        cls,
        networks: Sequence[TrainedNetwork],
        dataset: Dataset,
        answers: Mapping[str, str] | None = None,
        reliance: Mapping[str, Reliance] | None = None,
    ) -> M3H:
        """The model of networks trained on ``dataset``. Of several that know a task, the first answers for it, or the
        one that ``answers`` names by its trial's id (task -> id); tasks that it does not name are then not asked.

        ``reliance`` None is that of what the networks themselves held out of their training, where they did. Networks
        that failed are left out; the rows of ``dataset`` are not kept. Errors: TrainingError if none is left or one
        belongs to another dataset.
        """
        model = cls()
        model._take(networks, dataset, answers, reliance)
        return model

    @classmethod
    def from_parts(cls, parts: Fitted, attention: Attention) -> M3H:
        """The model of these :attr:`parts`, with its attention."""
        model = cls()
        model._fitted, model._attention = parts, dict(attention)
        first = parts.networks[0].trial
        model.preset, model.device = first.preset, first.device
        return model

    def _take(
        self,
        networks: Sequence[TrainedNetwork],
        dataset: Dataset,
        answers: Mapping[str, str] | None = None,
        reliance: Mapping[str, Reliance] | None = None,
    ) -> None:
        good = [network for network in networks if not network.failed]
        if not good:
            reason = networks[0].failed if networks else None
            raise TrainingError("no network ended well", where=dataset.name, got=reason)
        for network in good:
            if network.trial.dataset != dataset.fingerprint:
                got, expected = network.trial.dataset, dataset.fingerprint
                raise TrainingError("this network belongs to another dataset", got=got, expected=expected)
        first = good[0].trial
        self.preset, self.device = first.preset, first.device
        place = {network.trial.id: number for number, network in enumerate(good)}
        if answers is None:
            answers = {name: network.trial.id for network in reversed(good) for name in network.trial.tasks}
        known = {name: place[identity] for name, identity in answers.items()}
        tasks = tuple(labels.task for name, labels in dataset.labels.items() if name in known)
        if reliance is None:
            held = {name: good[number].held.get(name) for name, number in known.items()}
            reliance = relied(dataset, {name: values for name, values in held.items() if values is not None})
        self._fitted = Fitted(
            networks=tuple(_bare(network) for network in good),
            tasks=tasks,
            answers={task.name: known[task.name] for task in tasks},
            classes={task.name: dataset.labels[task.name].classes for task in tasks},
            recipe=dict(dataset.recipe),
            states=dict(dataset.states),
            name=dataset.name,
            title=dataset.title,
            fingerprint=dataset.fingerprint,
            reliance={task.name: reliance[task.name] for task in tasks if task.name in reliance},
        )
        self._attention = {}
        for network in good:
            if network.attention.size:
                trial = network.trial
                self._attention.setdefault(trial.label, (trial.tasks, network.attention))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it answers, in the order of the study. Errors: SettingError if it was not fitted."""
        return tuple(task.name for task in self._need().tasks)

    @property
    def parts(self) -> Fitted:
        """What it consists of. Errors: SettingError if it was not fitted."""
        return self._need()

    @property
    def reliance(self) -> Mapping[str, Reliance]:
        """Task -> how far its answers can be relied on: what calibrates them, and the limits beside them.

        Of tasks for which predictions of training rows held out are at hand: those of the preset m3h, and of any run
        that appraised its model; none of clusterings. Errors: SettingError if it was not fitted.
        """
        return dict(self._need().reliance)

    @property
    def attention(self) -> Attention:
        """Mean attention over the rows last scored, after fitting over the test rows: how much a task asks of another.

        Label of a task set -> (its tasks, weights (task that asks, task that answers)); the weights of a task that
        asks add up to 1. Errors: SettingError if it was not fitted.
        """
        self._need()
        return dict(self._attention)

    def new_patients(
        self,
        data: str | Path,
        *,
        weights: str | Path | None = None,
        progress: Callable[[str, float | None], None] | None = None,
    ) -> Dataset:
        """New patients, encoded as in training; all rows are test rows, and labels that are there are read.

        ``data`` is a folder with tables of the study's names, or one samples file. Whole sources may be missing: they
        are named in ``facts["missing_sources"]``, and ``facts["absent"]`` says of every source that no sample has what
        was looked for and what is there. ``weights`` is a folder of pretrained weights, looked at before the user's
        cache folder. ``progress`` is told what is encoded, and how far it is. Errors: SettingError if the model was not
        fitted, or not on a study; WeightsError where weights are missing or others than in training; FolderError where
        there is no such folder of them; StudyError or DataError where the tables do not fit the study.
        """
        fitted = self._need()
        path = Path(data)
        study = study_of(dict(fitted.recipe), path)
        folder = None if weights is None else Path(weights)
        check_folder(folder)
        with around(told=progress):
            return build_new(study, fitted.states, path, fitted.classes, weights=folder)

    def predict(self, data: Dataset | str | Path) -> polars.DataFrame:
        """Predictions for all rows of new patients' tables (see new_patients), or for the test rows of a Dataset.

        Columns sample, patient, task, class, prediction, calibrated, low, high, possible. Binary: probability of the
        positive class; regression: value in the task's unit; multiclass: a row per class with its probability;
        clustering: the cluster's number. class is "" but for multiclass. The last four are empty where the model keeps
        no :attr:`reliance`: the prediction mended by calibration; its interval, of a risk 95 % for the share of such
        patients who have the outcome, of a value 90 % for the patient's own; and whether the conformal set of 90 %
        holds the class (yes, of a yes-or-no task). Errors: as new_patients; DataError if none of a network's sources
        is there.
        """
        from m3h.api.scored import predicted

        fitted = self._need()
        dataset = data if isinstance(data, Dataset) else self.new_patients(data)
        rows = dataset.test_rows
        self.check_known(dataset, rows)
        said = self.predictions(dataset, rows)
        return predicted(dataset, rows, fitted.tasks, fitted.classes, said, fitted.reliance)

    def predictions(self, dataset: Dataset, rows: Rows) -> dict[str, Prediction]:
        """What the model says of ``rows`` (row numbers) of a dataset, by task (m3h.evaluation.scores.Prediction).

        Errors: SettingError if it was not fitted or the dataset lacks a source; TrainingError or DataError if a
        source's columns are not those of training.
        """
        return self._apply(dataset, rows)[0]

    def score(self, dataset: Dataset) -> polars.DataFrame:
        """Every metric of every task on the test rows, with 95 % intervals by patient.

        Columns task, kind, metric, n, value, low, high; directions: m3h.study.task.LOWER_IS_BETTER. The dataset's seed
        draws the intervals. Errors: SettingError if it was not fitted or the dataset's tasks are not the model's.
        """
        from m3h.api.scored import scored

        fitted = self._need()
        self._check_labels(dataset)
        rows = dataset.test_rows
        predictions, self._attention = self._apply(dataset, rows)
        return scored(dataset, rows, fitted.tasks, predictions)

    def save(self, folder: str | Path) -> None:
        """Write the model into ``folder``, replacing what is there: safetensors and JSON; equal models, equal bytes.

        Errors: SettingError if it was not fitted, FolderError where the folder cannot be written.
        """
        saved.save(self._need(), self._attention, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> M3H:
        """The model that :meth:`save` wrote, or that of a run's folder. Errors: FolderError if there is none."""
        return cls.from_parts(*saved.load(Path(folder)))

    def _need(self) -> Fitted:
        if self._fitted is None:
            raise SettingError("this model was not fitted", next_step="call fit(dataset), or M3H.load(folder)")
        return self._fitted

    def _apply(self, dataset: Dataset, rows: Rows) -> tuple[dict[str, Prediction], Attention]:
        fitted = self._need()
        found: dict[str, Prediction] = {}
        attention: Attention = {}
        for number, network in enumerate(fitted.networks):
            trial = network.trial
            for source in trial.sources:
                if source not in dataset.blocks:
                    raise SettingError(f'the dataset lacks source "{source}"{nearest(source, dataset.blocks)}')
            predictions, weights = apply(network, dataset, rows)
            found |= {name: one for name, one in predictions.items() if fitted.answers.get(name) == number}
            attention.setdefault(trial.label, (trial.tasks, weights))
        return {task.name: found[task.name] for task in fitted.tasks}, attention

    def check_known(self, dataset: Dataset, rows: Rows) -> None:
        """A network of which every source is absent throughout would say the same of everybody.

        Errors: DataError if that is so of these ``rows``."""
        for network in self._need().networks:
            blocks = [dataset.blocks[name] for name in network.trial.sources if name in dataset.blocks]
            if blocks and not any(block.present[rows].any() for block in blocks):
                raise DataError(
                    f"nothing is known of any patient for {_some(network.trial.tasks)}",
                    where=dataset.name,
                    got=f"no value in any of the sources {_some(network.trial.sources)}",
                    expected="at least one of these sources for at least one patient",
                    next_step="add a table of one of them, named as in the study",
                )

    def _check_labels(self, dataset: Dataset) -> None:
        fitted = self._need()
        for task in fitted.tasks:
            if task.name not in dataset.labels:
                raise SettingError(f'the dataset lacks task "{task.name}"{nearest(task.name, dataset.labels)}')
            labels = dataset.labels[task.name]
            if labels.task.kind != task.kind or labels.classes != fitted.classes[task.name]:
                raise SettingError(
                    f'task "{task.name}" is not the one the model was trained for',
                    got=_described(labels.task.kind, labels.classes),
                    expected=_described(task.kind, fitted.classes[task.name]),
                )


def _preset(name: str, overrides: Mapping[str, Any]) -> Preset:
    for _, message in rules.preset(name):
        raise SettingError(message)
    mistakes: list[str] = []
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in overrides.items()}
    values = take(Preset, plain, lambda _, message: mistakes.append(message))
    mistakes += [message for _, message in rules.overrides(values)]
    if mistakes:
        raise SettingError("; ".join(mistakes), where=f'preset "{name}"')
    return Preset(**{**vars(PRESETS[name]), **values})


def _protocol(dataset: Dataset, preset: Preset) -> Protocol:
    """What the dataset's study gives of its protocol; the rest goes with the preset."""
    content = dataset.recipe.get("protocol") or {}
    given = {key: content[key] for key in dataset.recipe.get("protocol_given", ())}
    plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return replace(protocol_of(preset), **plain)


def check_device(device: Device) -> None:
    """Errors: SettingError if the device is not on this machine; nothing falls back to another."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device]:
        known = ", ".join(name for name, found in there.items() if found)
        raise SettingError(f'device "{device}" is not on this machine', expected=f"one of {known}")


def task_sets(dataset: Dataset, names: Iterable[str]) -> list[tuple[str, ...]]:
    """The tasks by what they exclude, in the order of the study."""
    chosen = dataset.task_set(tuple(names))
    if not chosen:
        raise SettingError("no tasks to train", where=dataset.name, expected="at least one task that can be used")
    sets: dict[frozenset[str], list[str]] = {}
    for name in chosen:
        sets.setdefault(frozenset(dataset.labels[name].task.exclude_sources), []).append(name)
    return [tuple(tasks) for tasks in sets.values()]


def _bare(network: TrainedNetwork) -> TrainedNetwork:
    """The network without what it said of its dataset's rows."""
    return TrainedNetwork(
        trial=network.trial,
        shape=network.shape,
        state=network.state,
        scaler=network.scaler,
        task_models=network.task_models,
        space=network.space,
        centres=network.centres,
        seconds=network.seconds,
        warnings=network.warnings,
    )


def _described(kind: str, classes: Sequence[str]) -> str:
    return f"{kind} of {len(classes)} classes" if kind == "multiclass" else kind


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
