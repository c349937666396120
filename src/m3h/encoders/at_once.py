"""Batches at once, each on a core of its own, in one thread: the same bits at any number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

import torch
from threadpoolctl import threadpool_limits

from m3h.core.errors import SettingError
from m3h.encoders.surroundings import Device

Precision = Literal["float32", "bfloat16"]
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, device: Device = "cpu") -> Iterator[Result]:
    """``work`` of each item, as many at once as this process has threads; results in the order of the items.

    On another device than the processor one after the other: it has its own ways of doing much at once.
    """
    if device != "cpu":
        for item in items:
            with torch.inference_mode():
                result = work(item)
            yield result
        return
    threads = torch.get_num_threads()
    waiting: deque[Future[Result]] = deque()

    def alone(item: Item) -> Result:
        torch.set_num_threads(1)  # the limit is each thread's own
        with torch.inference_mode():
            return work(item)

    # the linear algebra of NumPy has one limit for all threads
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(alone, item))
                # a few ahead, so that memory does not grow with their number
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(threads)


def check_precision(precision: Precision, device: Device) -> None:
    """Errors: SettingError for bfloat16 on a processor that has no instructions for it and would be slower."""
    if precision == "bfloat16" and device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise SettingError(
            'options.precision = "bfloat16"',
            got="a processor without instructions for it",
            expected='"float32", which is faster here',
        )
