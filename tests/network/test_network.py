from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from m3h.network.network import Inputs, Network, Shape, Slot
from m3h.study.presets import PRESETS

SHAPE = Shape(
    (("tabular", 6), ("timeseries", 20), ("vision", 12)),
    (Slot("binary", 1), Slot("multiclass", 4), Slot("regression", 1), Slot("clustering", 0)),
    PRESETS["paper"],
)


def network(shape: Shape = SHAPE, fleet: int = 1, seed: int = 3) -> Network:
    made = Network(shape, fleet)
    made.start(seed, 0)
    return made.requires_grad_(False)


def inputs(rows: int = 7, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    present = torch.ones(rows, 3, dtype=torch.bool)
    present[2, 1] = present[4, 0] = False
    values = [torch.randn(rows, width, generator=generator) for _, width in SHAPE.modalities]
    return Inputs(tuple(torch.where(present[:, [i]], x, 0.0) for i, x in enumerate(values)), present)


def plain(model: Network, batch: Inputs) -> tuple[list[Tensor], Tensor]:
    """The same network, one layer after another, in PyTorch's own modules and for one member."""

    def linear(part: nn.Module, x: Tensor) -> Tensor:
        return functional.linear(x, part.weight[0], part.bias[0])  # type: ignore[index,union-attr]

    def block(part: nn.Module, x: Tensor) -> Tensor:
        hidden = linear(part.into, x)  # type: ignore[arg-type]
        norm = part.norm
        hidden = functional.layer_norm(hidden, hidden.shape[-1:], norm.weight[0], norm.bias[0])  # type: ignore[index,union-attr]
        return linear(part.out, torch.relu(hidden))  # type: ignore[arg-type]

    z = []
    for number, part in enumerate(model.modalities.values()):
        found = block(part.body, batch.values[number])  # type: ignore[arg-type]
        z.append(torch.where(batch.present[:, [number]], found, part.absent[0]))  # type: ignore[index]
    s = torch.relu(block(model.shared.body, torch.cat(z, 1)))
    tokens = []
    for slot in range(len(model.shape.slots)):
        hidden = functional.linear(s, model.tasks.into.weight[0, slot], model.tasks.into.bias[0, slot])
        tokens.append(
            functional.linear(torch.relu(hidden), model.tasks.out.weight[0, slot], model.tasks.out.bias[0, slot])
        )
    x = torch.stack(tokens, 1)
    part = model.attention
    match = torch.einsum("if,bjf->bij", part.token[0] @ part.query[0], x @ part.key[0])
    match = match / match.abs().amax((1, 2), keepdim=True).clamp_min(1e-6)
    weights = torch.softmax(torch.eye(x.shape[1]) + 0.1 * match, -1)
    o = weights @ (x @ part.value[0])
    outputs = []
    for slot, kind in enumerate(model.shape.slots):
        if kind.kind == "clustering":
            y = o[:, slot]
            for depth, layer in enumerate(model.decoders[str(slot)].layers):  # type: ignore[arg-type]
                y = linear(layer, y if depth == 0 else torch.relu(y))
            outputs.append(y)
        else:
            outputs.append(linear(model.heads.head(slot), o[:, slot]))
    return outputs, weights


def test_equals_the_same_network_in_plain_pytorch() -> None:
    model, batch = network(), inputs()
    for part in model.modalities.values():
        part.absent.normal_()  # type: ignore[union-attr,operator]
    got = model(batch)
    outputs, weights = plain(model, batch)
    for slot in range(4):
        y = got.reconstructions[slot] if slot == 3 else got.heads[slot]
        torch.testing.assert_close(y[0], outputs[slot], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.attention[0], weights, rtol=1e-4, atol=1e-6)


def test_values_of_an_absent_modality_change_nothing() -> None:
    model, batch = network(), inputs()
    poisoned = Inputs(
        tuple(torch.where(batch.present[:, [i]], x, torch.tensor(1e6)) for i, x in enumerate(batch.values)),
        batch.present,
    )
    torch.testing.assert_close(model(poisoned).tokens, model(batch).tokens, rtol=0, atol=0)


def test_all_absent_is_finite() -> None:
    batch = Inputs(tuple(torch.zeros(2, width) for _, width in SHAPE.modalities), torch.zeros(2, 3, dtype=torch.bool))
    assert torch.isfinite(network()(batch).tokens).all()


def test_start_depends_on_place_not_on_fleet_or_later_slots() -> None:
    one, many = network(fleet=1), network(fleet=4)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(many.state_dict()[name][3:], value, rtol=0, atol=0)
    short = network(Shape(SHAPE.modalities, SHAPE.slots[:2], SHAPE.preset))
    torch.testing.assert_close(short.tasks.into.weight[0, 1], one.tasks.into.weight[0, 1], rtol=0, atol=0)
    assert not torch.equal(one.tasks.into.weight[0, 0], one.tasks.into.weight[0, 1])
    assert not torch.equal(network(seed=4).shared.body.into.weight, one.shared.body.into.weight)


def test_permuting_slots_with_their_weights_permutes_the_outputs() -> None:
    shape = Shape(SHAPE.modalities, (Slot("binary", 1),) * 4, SHAPE.preset)
    model, turned, order = network(shape), network(shape), [2, 0, 3, 1]
    for part in (turned.tasks.into, turned.tasks.out):
        part.weight.copy_(part.weight[:, order].clone())
        part.bias.copy_(part.bias[:, order].clone())
    turned.attention.token.copy_(turned.attention.token[:, order].clone())
    for place, slot in enumerate(order):
        turned.heads.head(place).load_state_dict(model.heads.head(slot).state_dict())
    before, after = model(inputs()), turned(inputs())
    for place, slot in enumerate(order):
        torch.testing.assert_close(after.heads[place], before.heads[slot])


def test_only_the_slots_asked_for_are_computed_and_alike() -> None:
    model, batch = network(), inputs()
    got = model(batch, None, (1,))
    assert set(got.heads) == {1}
    assert not got.reconstructions
    torch.testing.assert_close(got.heads[1], model(batch).heads[1], rtol=0, atol=0)


def test_weights_of_the_papers_size() -> None:
    shape = Shape(
        (("tabular", 6), ("timeseries", 451), ("language", 2304), ("vision", 2084)),
        (Slot("binary", 1),) * 44,
        PRESETS["paper"],
    )
    assert Network(shape, 1).weights() == pytest.approx(3.4e6, rel=0.05)
