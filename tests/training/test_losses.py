from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from m3h.network.network import Shape, Slot
from m3h.study.presets import PRESETS
from m3h.training import losses

PAPER = PRESETS["paper"]


def test_row_losses_are_pytorchs() -> None:
    y, t = torch.randn(2, 6, 1), torch.randint(0, 2, (2, 6)).float()
    torch.testing.assert_close(
        losses.binary(y, t), functional.binary_cross_entropy_with_logits(y[..., 0], t, reduction="none")
    )
    torch.testing.assert_close(losses.regression(y, t), functional.l1_loss(y[..., 0], t, reduction="none"))
    logits, classes = torch.randn(2, 6, 4), torch.randint(0, 4, (2, 6)).float()
    expected = functional.cross_entropy(logits.view(12, 4), classes.long().view(12), reduction="none").view(2, 6)
    torch.testing.assert_close(losses.multiclass(logits, classes), expected)


def test_unlabelled_rows_do_not_count_whatever_they_hold() -> None:
    loss = torch.tensor([[1.0, float("nan"), 3.0], [float("inf"), 5.0, 7.0]], requires_grad=True)
    known = torch.tensor([[True, False, True], [False, False, False]])
    mean = losses.masked_mean(loss, known)
    assert mean.tolist() == [2.0, 0.0]
    mean.sum().backward()
    assert torch.isfinite(loss.grad).all()  # type: ignore[arg-type]


def test_reconstruction_is_the_mean_over_entries_or_over_modalities() -> None:
    values, shape = torch.zeros(2, 4), Shape((("tabular", 1), ("vision", 3)), (Slot("clustering", 0),), PAPER)
    y = torch.tensor([[[2.0, 1, 1, 1], [2.0, 1, 1, 1]]])
    balanced = replace(shape, preset=replace(PAPER, reconstruction="balance"))
    assert losses.reconstruction(y, values, shape).item() == pytest.approx((4 + 3) / 4)
    assert losses.reconstruction(y, values, balanced).item() == pytest.approx(2.5)


def test_rare_classes_start_at_the_log_odds() -> None:
    labels = np.array([1.0] + [0.0] * 19)
    bias = losses.start_binary(labels, 1, PAPER).bias
    assert bias is not None
    assert bias[0] == pytest.approx(math.log(1 / 19))
    assert 1 / (1 + math.exp(-bias[0])) == pytest.approx(1 / 20)
    assert losses.start_binary(np.array([1.0, 0.0]), 1, PAPER).bias is None


def test_one_class_starts_guarded_and_says_so() -> None:
    start = losses.start_binary(np.zeros(9), 1, PAPER)
    assert start.bias == pytest.approx((math.log(0.5 / 9.5),))
    assert "one class" in start.warning
    assert losses.start_binary(np.zeros(0), 1, PAPER).bias is None


def test_regressions_start_at_the_median_and_classes_where_asked_at_log_shares() -> None:
    assert losses.start_regression(np.array([1.0, 2.0, 9.0]), 1, PAPER).bias == (2.0,)
    scaled = losses.start_regression(np.array([1.0, 3.0, 5.0]), 1, replace(PAPER, target_scale="deviation"))
    assert scaled.scale == pytest.approx(math.sqrt(8 / 3))
    assert scaled.bias == pytest.approx((3 / scaled.scale,))
    assert losses.start_regression(np.zeros(0), 1, PAPER).bias is None
    assert losses.start_multiclass(np.array([0.0]), 2, PAPER).bias is None
    shares = losses.start_multiclass(np.array([0.0, 0.0, 1.0]), 2, replace(PAPER, multiclass_start=True)).bias
    assert shares == pytest.approx((math.log(2 / 3), math.log(1 / 3)))
