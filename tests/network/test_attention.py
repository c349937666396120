from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from m3h.network.attention import CrossTaskAttention
from m3h.study.presets import PRESETS, Preset

PAPER = PRESETS["paper"]


def attention(slots: int, preset: Preset = PAPER, fleet: int = 1, seed: int = 0) -> CrossTaskAttention:
    part = CrossTaskAttention(fleet, slots, preset)
    generator = torch.Generator().manual_seed(seed)
    part.start(generator)
    for slot in range(slots):
        part.start_slot(slot, generator)
    return part.requires_grad_(False)


def test_hand_worked_two_tasks() -> None:
    part = CrossTaskAttention(1, 2, replace(PAPER, token_width=2)).requires_grad_(False)
    part.token[0] = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    for weight in (part.query, part.key):
        weight[0] = torch.eye(2)
    part.value[0] = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    x = torch.tensor([[[[1.0, 3.0]], [[-4.0, 0.5]]]])  # tokens of two tasks for one sample
    # M = [[1, -4], [6, 1]], its largest size 6; scores I + 0.1 M / 6
    out, weights = part(x)
    first = 1 / (1 + math.exp((-0.4 / 6) - (1 + 0.1 / 6)))
    second = 1 / (1 + math.exp((1 + 0.1 / 6) - 0.1))
    expected = torch.tensor([[first, 1 - first], [second, 1 - second]])
    torch.testing.assert_close(weights[0, 0], expected)
    values = torch.tensor([[2.0, 3.0], [-8.0, 0.5]])
    torch.testing.assert_close(out[0, :, 0], expected @ values)


def test_rows_sum_to_one_and_one_task_passes_through() -> None:
    x = torch.randn(2, 5, 3, 64)
    _, weights = attention(5, fleet=2)(x)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    single = attention(1)
    out, weights = single(x[:1, :1])
    torch.testing.assert_close(out[0, 0], x[0, 0] @ single.value[0])
    assert weights.eq(1).all()


@pytest.mark.parametrize(
    ("tasks", "low", "middle", "high"),
    [(2, 0.690, 0.731, 0.769), (3, 0.527, 0.576, 0.624), (10, 0.198, 0.232, 0.269), (44, 0.049, 0.059, 0.072)],
)
def test_self_weight_lies_between_its_bounds(tasks: int, low: float, middle: float, high: float) -> None:
    _, weights = attention(tasks)(torch.randn(1, tasks, 40, 64))
    diagonal = weights.diagonal(dim1=-2, dim2=-1)
    assert low - 5e-4 <= diagonal.min()
    assert diagonal.max() <= high + 5e-4
    _, flat = attention(tasks)(torch.zeros(1, tasks, 1, 64))  # M = 0 gives no NaN
    torch.testing.assert_close(flat.diagonal(dim1=-2, dim2=-1), torch.full((1, 1, tasks), middle), rtol=0, atol=5e-4)


def test_logarithmic_beta_keeps_the_balance_of_two_tasks() -> None:
    for tasks in (2, 3, 44):
        _, weights = attention(tasks, replace(PAPER, beta="log"))(torch.zeros(1, tasks, 1, 64))
        torch.testing.assert_close(weights[0, 0, 0, 0], torch.tensor(math.e / (1 + math.e)))


@pytest.mark.parametrize("scope", ["sample", "row"])
def test_other_patients_in_the_batch_change_nothing(scope: str) -> None:
    part = attention(4, replace(PAPER, scope=scope))
    x = torch.randn(1, 4, 6, 64)
    torch.testing.assert_close(part(x)[0][:, :, :1], part(x[:, :, :1])[0])


def test_batch_scope_and_literal_sign_are_what_they_say() -> None:
    # the last of the batch is by far the largest, so that by itself the first is scaled by less
    x = torch.randn(1, 3, 6, 64) * torch.tensor([1.0, 1, 1, 1, 1, 9])[:, None]
    batch = attention(3, replace(PAPER, scope="batch"))
    match = torch.randn(1, 6, 3, 3)
    torch.testing.assert_close(batch.scaled(match), match / match.abs().max())
    assert not torch.allclose(batch(x)[0][:, :, :1], batch(x[:, :, :1])[0])
    literal = attention(3, replace(PAPER, scale="literal"))
    torch.testing.assert_close(literal.scaled(match), match / match.amax((2, 3), keepdim=True))
    assert torch.isfinite(literal.scaled(torch.zeros(1, 1, 3, 3))).all()
    row = attention(3, replace(PAPER, scope="row"))
    torch.testing.assert_close(row.scaled(match), match / match.abs().amax(3, keepdim=True))


def test_permuting_tasks_with_their_tokens_permutes_the_outputs() -> None:
    part = attention(5)
    x, order = torch.randn(1, 5, 4, 64), torch.tensor([3, 0, 4, 1, 2])
    out, weights = part(x)
    part.token.copy_(part.token[:, order].clone())
    turned, turned_weights = part(x[:, order])
    torch.testing.assert_close(turned, out[:, order])
    torch.testing.assert_close(turned_weights, weights[:, :, order][..., order])


@pytest.mark.parametrize("slots", [2, 3, 5])
@pytest.mark.parametrize("options", [{}, {"detach_maximum": True}, {"alpha": 0.0}, {"scope": "row"}])
def test_gradients_are_autograds(slots: int, options: dict[str, object]) -> None:
    part = attention(slots, replace(PAPER, **options), fleet=2)  # type: ignore[arg-type]
    part.requires_grad_(True)
    x = torch.randn(2, slots, 6, 64, requires_grad=True)
    towards_out, towards_weights = torch.randn(2, slots, 6, 64), torch.randn(2, 6, slots, slots)

    def by_autograd() -> tuple[torch.Tensor, torch.Tensor]:
        asking = (part.token @ part.query) @ part.key.transpose(1, 2)
        match = torch.einsum("kif,kjbf->kbij", asking, x)
        scores = torch.eye(slots) * part.bonus(slots) + part.preset.alpha * part.scaled(match)
        weights = torch.softmax(scores, -1)
        return torch.einsum("kbij,kjbf,kfg->kibg", weights, x, part.value), weights

    found = []
    for out, weights in (part(x), by_autograd()):
        ((out * towards_out).sum() + (weights * towards_weights).sum()).backward()
        found.append([out.detach(), weights.detach(), *(p.grad for p in (x, *part.parameters()))])
        for p in (x, *part.parameters()):
            p.grad = None
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
