"""The stage: task models are fitted once a fold, for all that ask, and the same whatever the threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, PROTOCOLS
from m3h.training.additive import side_by_side
from m3h.training.fleet import train
from m3h.training.prepared import Materials
from m3h.training.stage import TaskModelStage
from m3h.training.task_model import Fitted
from m3h.training.trial import Trial, make_trial

M3H = PRESETS["m3h"]


def single(data: Dataset, name: str, **changes: object) -> Trial:
    return make_trial(data, [name], preset=replace(M3H, **changes), protocol=PROTOCOLS["m3h"])  # type: ignore[arg-type]


def test_a_stage_fits_each_task_once_for_all_that_ask(learning_data: Callable[..., Dataset]) -> None:
    data, kept = learning_data(), Materials(2)
    stage = kept.of(data, single(data, "death")).stage
    shares: list[float] = []
    first = stage.fitted(["death", "group", "unit"], True, lambda: None, shares.append)
    assert sorted(first) == ["death", "unit"]
    assert shares[-1] == 1.0
    again = kept.of(data, single(data, "stay")).stage
    assert again is stage
    assert again.fitted(["death"], True, lambda: None, shares.append)["death"] is first["death"]


def test_who_stops_listening_stops_the_stage(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    stage = TaskModelStage(data, ("demo", "labs"), data.train_rows, 2)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.fitted(["death", "unit"], True, stop, lambda share: None)


def test_one_patient_is_too_few(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    stage = TaskModelStage(data, ("demo",), data.train_rows[:2], 1)
    with pytest.raises(TrainingError, match="chosen by cross-validation by patient") as raised:
        _ = stage.ground
    assert "1 patient to train on" in str(raised.value)
    assert 'preset = "paper"' in str(raised.value)


def test_threads_change_no_byte(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    said: list[dict[str, Fitted]] = []
    for threads in (1, 3):
        stage = TaskModelStage(data, ("demo", "labs", "note"), data.train_rows, threads)
        said.append(stage.fitted(["death", "unit", "stay"], True, lambda: None, lambda share: None))
    for name, one in said[0].items():
        assert one.outputs.tobytes() == said[1][name].outputs.tobytes()


def test_without_steps_the_network_says_what_its_task_models_say(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    trial = replace(single(data, "stay", head_scale=0.0, copies=1), epochs=0)
    done = next(iter(train(data, [trial])))
    assert done.task_models is not None
    model = done.task_models.models["stay"]
    rows = data.test_rows
    functions = torch.from_numpy(done.task_models.basis.apply(data.blocks, rows))
    values = side_by_side({name: data.blocks[name] for name in trial.sources}, rows)
    said = model.outputs(functions, data.blocks, values, rows)[:, 0] * model.scale + model.centre
    np.testing.assert_allclose(done.predictions["stay"].values, said, rtol=1e-5, atol=1e-5)
