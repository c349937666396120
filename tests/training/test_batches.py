from __future__ import annotations

from collections.abc import Callable

import numpy as np

from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training.batches import batches, mask_generator, material, order_generator, trial_rows
from m3h.training.trial import Trial, make_trial


def trial(dataset: Dataset, **more: object) -> Trial:
    return make_trial(dataset, ["death"], preset=PRESETS["paper"], protocol=Protocol(), **more)  # type: ignore[arg-type]


def test_batches_cover_each_row_once_and_drop_a_last_batch_of_one() -> None:
    rows = np.arange(10, 23)
    found = list(batches(rows, 4, np.random.default_rng(0)))
    assert [len(part) for part in found] == [4, 4, 4]  # 13 rows: the last batch of one is left out
    found = list(batches(rows[:10], 4, np.random.default_rng(0)))
    assert sorted(np.concatenate(found)) == list(rows[:10])
    assert len(found[-1]) == 2


def test_folds_hold_every_training_row_once_and_never_a_test_row(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    seen = []
    for fold in range(5):
        train, evaluate = trial_rows(data, trial(data, fold=fold))
        assert not set(train) & set(evaluate)
        assert not set(data.patients[train]) & set(data.patients[evaluate])
        assert sorted([*train, *evaluate]) == list(data.train_rows)
        seen += list(evaluate)
    assert sorted(seen) == list(data.train_rows)
    train, evaluate = trial_rows(data, trial(data))
    assert list(train) == list(data.train_rows)
    assert list(evaluate) == list(data.test_rows)


def test_sources_of_a_modality_lie_side_by_side_scaled_by_the_rows_given(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    made = material(data, ("demo", "note"), data.train_rows, data.test_rows)
    assert made.modalities == (("tabular", 5), ("language", 6))
    x = data.blocks["demo"].values
    mean, deviation = np.nanmean(x[data.train_rows], 0), np.nanstd(x[data.train_rows], 0)
    expected = np.nan_to_num((x - mean) / deviation)
    np.testing.assert_allclose(made.values[0].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert (made.values[1][~made.present[:, 1]] == 0).all()
    np.testing.assert_array_equal(made.present[:, 1].numpy(), data.blocks["note"].present)
    assert made.flat(data.test_rows).shape == (len(data.test_rows), 11)


def test_random_streams_depend_on_fold_step_and_loss_only(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    one, other = trial(data), trial(data, learning_rate=1e-2)
    assert order_generator(one, 3).integers(1 << 30) == order_generator(other, 3).integers(1 << 30)
    assert order_generator(one, 3).integers(1 << 30) != order_generator(one, 4).integers(1 << 30)
    draw = mask_generator(one, 0, 1).random(4)
    np.testing.assert_array_equal(draw, mask_generator(other, 0, 1).random(4))
    for changed in (mask_generator(one, 0, 2), mask_generator(one, 1, 1), mask_generator(trial(data, fold=0), 0, 1)):
        assert not np.array_equal(draw, changed.random(4))
