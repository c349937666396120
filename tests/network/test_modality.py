from __future__ import annotations

from dataclasses import replace

import torch

from m3h.network.modality import ModalityNetwork
from m3h.study.presets import PRESETS


def test_absent_rows_are_the_learned_vector_and_so_are_the_gradients() -> None:
    part = ModalityNetwork(2, 5, 16, replace(PRESETS["paper"], modality_width=8))
    for p in part.parameters():
        p.data.normal_()
    x, g = torch.randn(6, 5), torch.randn(2, 6, 8)
    absent = torch.tensor([1, 4])
    part(x, absent, None).backward(g)
    ours = {name: p.grad.clone() for name, p in part.named_parameters() if p.grad is not None}
    part.zero_grad()
    there = torch.ones(6, dtype=torch.bool).index_fill(0, absent, False)
    expected = torch.where(there[:, None], part(x, None, None), part.absent[:, None])
    torch.testing.assert_close(part(x, absent, None), expected)
    expected.backward(g)
    for name, p in part.named_parameters():
        torch.testing.assert_close(ours[name], p.grad)
