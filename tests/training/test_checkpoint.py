from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m3h.core.errors import FolderError, TrainingError
from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training import checkpoint
from m3h.training.fleet import train
from m3h.training.predict import apply
from m3h.training.trial import make_trial

QUICK = Protocol(epochs=1, batch_sizes=(64,), learning_rates=(3e-4,))


def test_what_is_saved_predicts_as_what_was_trained(learning_data: Callable[..., Dataset], tmp_path: Path) -> None:
    data = learning_data()
    sets = (["death", "unit", "stay", "group"], ["sepsis"])
    plan = [make_trial(data, names, preset=PRESETS["paper"], protocol=QUICK) for names in sets]
    done = list(train(data, plan))
    checkpoint.save(done, tmp_path)
    loaded = checkpoint.load(tmp_path)
    assert [part.trial for part in loaded] == [part.trial for part in done]
    assert [part.trial.id for part in loaded] == [part.trial.id for part in done]
    for before, after in zip(done, loaded, strict=True):
        predictions, attention = apply(after, data, before.evaluated)
        np.testing.assert_allclose(attention, before.attention, rtol=1e-5)
        for name, expected in before.predictions.items():
            got = predictions[name]
            for field in ("values", "clusters", "latent", "fixed", "reconstruction"):
                want = getattr(expected, field)
                if want is None:
                    assert getattr(got, field) is None
                else:
                    np.testing.assert_allclose(getattr(got, field), want, rtol=1e-5, atol=1e-5)


def test_the_same_networks_are_the_same_bytes(learning_data: Callable[..., Dataset], tmp_path: Path) -> None:
    data = learning_data()
    plan = [make_trial(data, ["death"], preset=PRESETS["paper"], protocol=QUICK)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        checkpoint.save(list(train(data, plan)), tmp_path / name)
    same = [(tmp_path / name / "networks.safetensors").read_bytes() for name in ("a", "b")]
    assert same[0] == same[1]


def test_a_damaged_model_is_a_clear_error(learning_data: Callable[..., Dataset], tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="not a whole model"):
        checkpoint.load(tmp_path)
    data = learning_data()
    checkpoint.save(list(train(data, [make_trial(data, ["death"], preset=PRESETS["paper"], protocol=QUICK)])), tmp_path)
    whole = (tmp_path / "networks.safetensors").read_bytes()
    (tmp_path / "networks.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FolderError, match="not a whole model"):
        checkpoint.load(tmp_path)


def test_other_columns_are_refused(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    done = next(train(data, [make_trial(data, ["death"], preset=PRESETS["paper"], protocol=QUICK)]))
    fewer = {name: block for name, block in data.blocks.items() if name != "labs"}
    narrow = Dataset(
        **{
            **{name: getattr(data, name) for name in ("name", "title", "seed", "ids", "patients", "split", "labels")},
            "blocks": {**fewer, "labs": data.blocks["demo"]},
        }
    )
    with pytest.raises(TrainingError, match="not those the network was trained on") as told:
        apply(done, narrow, narrow.test_rows)
    assert told.value.got == "tabular 10, language 6"
