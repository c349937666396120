from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.explain import gradients
from m3h.explain.gradients import Line, correction, integrate, line
from m3h.explain.outputs import cut, evidence_of_rows, outputs
from m3h.network.network import Network, Shape, Slot
from m3h.study.presets import Preset
from m3h.training.trained import TrainedNetwork


@pytest.mark.parametrize("way", ["paper", "m3h", "no embeddings", "all inputs"])
def test_the_end_of_the_line_is_what_the_network_says(
    way: str, data: Dataset, networks: dict[str, TrainedNetwork]
) -> None:
    """This module writes the way through the network anew; it must end where the network itself does."""
    trained, rows = networks[way], data.test_rows
    own = cut(data, rows)
    blocks = {name: own.blocks[name] for name in trained.trial.sources}
    evidence = evidence_of_rows(trained, own)
    said = None if evidence is None else evidence[0].double().numpy()
    ends = line(trained, blocks, said, None if said is None else said[0]).ends
    network = trained.network()
    whole = outputs(trained, data, rows)
    for slot, name in enumerate(trained.trial.tasks):
        if name in whole:
            y = correction(network, slot, ends)
            if evidence is not None and network.evidence is not None:
                y = y + network.evidence.own(evidence, slot)[0]
            y = y.double() * float(network.output_scale[0, slot])
            if name == "unit":
                y = y - y.mean(1, keepdim=True)
            if trained.task_models is not None:
                y = y + trained.task_models.models[name].centre
            np.testing.assert_allclose(y.numpy(), whole[name], atol=1e-4 if name == "stay" else 1e-5)


def test_a_linear_network_gives_weights_times_inputs() -> None:
    """With activations that are straight where they are used and no norm, the closed form is the weight itself."""
    preset = Preset(norm="none", dropout=0.0)
    network = Network(Shape((("tabular", 3),), (Slot("regression", 1),), preset), 1).requires_grad_(False)
    network.start(0, 0)
    # relu of what is above 0 is the thing itself
    for name, parameter in network.named_parameters():
        parameter.copy_(parameter.abs() if name.endswith(("weight", "value")) else torch.full_like(parameter, 5.0))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    ends = Line((x,), torch.zeros(5, 1), None, None)
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(correction(network, 0, (point, torch.zeros(5, 1))).sum(), point)
    assert torch.allclose(gradient, gradient[0].expand_as(gradient), rtol=1e-5)
    found = integrate(network, 0, 0, ends)
    np.testing.assert_allclose(found.values[0], gradient.double().numpy(), rtol=1e-5)
    change = correction(network, 0, ends.ends)[:, 0].double().numpy() - found.start
    np.testing.assert_allclose(found.error / change, 0, atol=1e-4)


def test_steps_are_added_until_the_parts_add_up(
    data: Dataset, networks: dict[str, TrainedNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = networks["paper"]
    own = cut(data, data.test_rows)
    ends, network = line(trained, own.blocks, None, None), trained.network()
    tried: list[tuple[int, int]] = []
    inner = gradients._mean_gradients

    def counted(*args: object) -> object:
        tried.append((len(args[3][0]), args[5]))  # type: ignore[index,arg-type]
        return inner(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(gradients, "_mean_gradients", counted)
    monkeypatch.setattr(gradients, "STEPS", (1, 4, 64))
    rough, fine = integrate(network, 0, 0, ends, tolerance=1e9), integrate(network, 0, 0, ends, tolerance=1e-3)
    assert [steps for _, steps in tried][:3] == [1, 1, 4]
    assert tried[2][0] <= tried[1][0]
    assert np.abs(fine.error).max() < np.abs(rough.error).max()


def test_without_captum_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(SettingError, match=r"m3h\[explain\]"):
        gradients.captum()


def test_a_network_without_columns_of_its_own_needs_no_inputs(
    data: Dataset, networks: dict[str, TrainedNetwork]
) -> None:
    trained = networks["no embeddings"]
    blocks = cut(data, data.test_rows).blocks
    said = np.random.default_rng(0).normal(size=(len(data.test_rows), 2))
    ends = line(trained, blocks, said, np.zeros(2))
    assert ends.values == () and ends.absence.shape == (len(said), 0)
    found = integrate(trained.network(), 0, 0, replace(ends))
    assert found.evidence is not None and found.evidence.shape == said.shape
