"""What is interrupted at a stop: all that is still held, and nothing that is gone."""

from __future__ import annotations

import gc

from m3h.core.stopping import interrupt_all, interrupted_at_a_stop


class Work:
    def __init__(self, told: list[str], name: str) -> None:
        self.told, self.name = told, name

    def interrupt(self) -> None:
        self.told.append(self.name)


def test_all_that_is_held_is_interrupted_and_what_is_gone_is_not() -> None:
    told: list[str] = []
    held = [Work(told, "first"), Work(told, "second")]
    for work in held:
        interrupted_at_a_stop(work)
    interrupted_at_a_stop(Work(told, "gone"))
    gc.collect()
    interrupt_all()
    assert sorted(told) == ["first", "second"]
