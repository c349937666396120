"""Work on several cores comes back in order, each in one thread."""

import time

import pytest
import torch

from m3h.encoders.at_once import in_order


def test_results_come_in_order_each_in_one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:

        def work(number):
            time.sleep(0.01 * (number % 3))
            assert torch.get_num_threads() == 1
            assert torch.is_inference_mode_enabled()
            return number**2

        assert list(in_order(work, range(20))) == [number**2 for number in range(20)]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_a_mistake_in_the_work_is_raised_and_threads_are_given_back():
    threads = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 / (3 - number), range(50)))
    assert torch.get_num_threads() == threads


def test_only_a_few_items_are_taken_ahead():
    taken = []
    results = in_order(lambda number: number, (taken.append(number) or number for number in range(1000)))
    next(results)
    assert len(taken) <= 2 * torch.get_num_threads() + 1
    results.close()


def test_on_another_device_one_after_the_other():
    results = in_order(lambda number: (number, torch.is_inference_mode_enabled()), range(3), device="cuda")
    assert next(results) == (0, True)
    assert not torch.is_inference_mode_enabled()
    assert list(results) == [(1, True), (2, True)]
