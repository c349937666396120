"""Evidence: its scale, and outputs as corrections of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from m3h.network.evidence import Evidence
from m3h.network.network import Inputs, Network, Shape, Slot
from m3h.study.presets import PRESETS

SLOTS = (Slot("binary", 1), Slot("multiclass", 3), Slot("clustering", 0))
SHAPE = Shape((("tabular", 4), ("language", 6)), SLOTS, PRESETS["m3h"])


def inputs(evidence: torch.Tensor, rows: int = 5) -> Inputs:
    random = torch.Generator().manual_seed(0)
    values = (torch.randn(rows, 4, generator=random), torch.randn(rows, 6, generator=random))
    return Inputs(values, torch.ones(rows, 2, dtype=torch.bool), evidence)


def started(shape: Shape, fleet: int = 2) -> Network:
    network = Network(shape, fleet)
    network.start(1, 0)
    return network


def test_the_scale_is_that_of_the_rows_trained_on() -> None:
    part = Evidence(2, [1, 2])
    random = torch.Generator().manual_seed(0)
    evidence = torch.randn(2, 50, 3, generator=random) * 7 + 3
    evidence[:, :, 2] = 5.0  # never varies: says nothing, whatever it is later
    part.fit(evidence)
    scaled = part.scaled(evidence)
    torch.testing.assert_close(scaled.mean(1)[:, :2], torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std(1, unbiased=False)[:, :2], torch.ones(2, 2))
    assert (part.scaled(evidence + 100)[:, :, 2] == 0).all()


def test_outputs_by_hand() -> None:
    part = Evidence(1, [1, 2])
    evidence, said = torch.tensor([[[2.0, 3.0, 4.0]]]), torch.tensor([[[0.5, 0.25]]])
    torch.testing.assert_close(part.corrected(evidence, 1, said), torch.tensor([[[3.5, 4.25]]]))
    part.factor.data[:] = 2.0
    torch.testing.assert_close(part.corrected(evidence, 1, said), torch.tensor([[[6.5, 8.25]]]))
    part.gate[:] = 0.5
    torch.testing.assert_close(part.corrected(evidence, 1, said), torch.tensor([[[4.75, 6.125]]]))
    part.gate[:] = 0.0
    torch.testing.assert_close(part.corrected(evidence, 1, said), evidence[:, :, 1:])


def test_a_closed_gate_gives_the_evidence_back() -> None:
    network = started(SHAPE)
    assert network.evidence is not None
    network.evidence.gate.zero_()
    evidence = torch.randn(2, 5, 4)
    heads = network(inputs(evidence)).heads
    torch.testing.assert_close(heads[0], evidence[:, :, :1])
    torch.testing.assert_close(heads[1], evidence[:, :, 1:])


def test_embeddings_reach_clusterings_only_unless_asked() -> None:
    """Through the clustering's token tasks still hear of each other; without attention they hear nothing."""
    evidence = torch.randn(2, 5, 4)
    for kind, reaches in (("clusterings", False), ("all", True)):
        network = started(replace(SHAPE, preset=replace(SHAPE.preset, inputs=kind)))
        network.attention.value.data.zero_()
        one = inputs(evidence)
        other = replace(one, values=tuple(values + 1 for values in one.values))
        a, b = network(one), network(other)
        assert torch.equal(a.heads[0], b.heads[0]) is not reaches
        assert not torch.equal(a.reconstructions[2], b.reconstructions[2])


def test_without_clusterings_there_are_no_modality_networks() -> None:
    network = started(replace(SHAPE, slots=SLOTS[:2]))
    assert len(network.modalities) == 0
    assert not network.shape.contrasting
    outputs = network(inputs(torch.randn(2, 5, 4)))
    assert outputs.embeddings == ()
    assert outputs.attention.shape == (2, 5, 2, 2)


def test_a_clustering_alone_has_no_evidence() -> None:
    network = started(replace(SHAPE, slots=SLOTS[2:]))
    assert network.evidence is None
    assert network.shape.contrasting
    assert network(Inputs(inputs(torch.zeros(2, 5, 0)).values, torch.ones(5, 2, dtype=torch.bool))).heads == {}


@pytest.mark.parametrize("slots", [SLOTS, SLOTS[:1]])
def test_residual_attention_adds_to_the_own_token(slots: tuple[Slot, ...]) -> None:
    network = started(replace(SHAPE, slots=slots))
    network.attention.value.data.zero_()
    evidence = torch.randn(2, 5, sum(slot.width for slot in slots))
    given = inputs(evidence)
    tokens = network.tasks(network._shared(given, network.embed(given, None), None), None)
    torch.testing.assert_close(network(given).tokens, tokens)
