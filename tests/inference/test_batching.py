"""Batches by token budget, one after another or side by side; halving when memory runs out."""

import threading
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qwen3_inference.local.batching import (
    is_out_of_memory,
    plan_batches,
    plan_side_by_side,
    run_batches,
    run_distinct,
)
from support.threads import torch_threads

LENGTHS = st.lists(st.integers(0, 50), max_size=30)


@given(lengths=LENGTHS, budget=st.integers(1, 120))
def test_every_index_is_in_exactly_one_batch_within_the_budget(lengths, budget):
    batches = list(plan_batches(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[i] for i in batch) <= budget for batch in batches)


@given(lengths=LENGTHS, budget=st.integers(1, 120))
def test_results_come_back_in_the_callers_order(lengths, budget):
    assert run_batches(lengths, budget, lambda batch: [lengths[i] * 2 for i in batch]) == [n * 2 for n in lengths]


def test_batches_are_sorted_by_length_the_longest_first():
    lengths = [3, 9, 4, 2, 9]
    flat = [lengths[i] for batch in plan_batches(lengths, 9) for i in batch]
    assert flat == sorted(lengths, reverse=True)


@given(lengths=LENGTHS, budget=st.integers(4, 120), workers=st.integers(2, 4))
def test_batches_side_by_side_share_the_budget_and_are_about_equal(lengths, budget, workers):
    batches = plan_side_by_side(lengths, budget, workers)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or sum(lengths[i] for i in batch) <= budget // workers for batch in batches)
    sums = [sum(lengths[i] for i in batch) for batch in batches]
    if sum(lengths) <= budget // 2 and len(lengths) >= workers:
        assert len(batches) <= 2 * workers
        assert max(sums) - min(sums) <= max(lengths)


@pytest.fixture
def two_threads():
    with torch_threads(2):
        yield


def test_large_batches_run_side_by_side_and_halve_where_memory_ends(two_threads):
    """Both workers wait for each other once: neither would go on if they took turns."""
    lengths, together, sizes = [300, 200, 301, 199, 10], threading.Barrier(2), []

    def forward(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(sizes) <= 2:
            together.wait(20)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        assert torch.get_num_threads() == 1
        return [lengths[index] for index in batch]

    done: list[list[int]] = []
    assert run_batches(lengths, 2048, forward, done.append, threads=2) == lengths
    assert sorted(index for batch in done for index in batch) == list(range(5))
    assert len(sizes) == 6
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("where", ["forward", "progress"])
def test_an_error_ends_batches_side_by_side(two_threads, where):
    calls: list[int] = []

    def forward(batch: list[int]) -> list[int]:
        calls.append(len(batch))
        time.sleep(0.02)
        if where == "forward":
            raise KeyError("forward")
        return batch

    def progress(done: list[int]) -> None:
        raise KeyError("progress")

    with pytest.raises(KeyError, match=where):
        run_batches([300] * 400, 600, forward, progress, threads=2)
    assert len(calls) < 200
    assert torch.get_num_threads() == 2


def out_of_memory_over(limit: int, sizes: list[int]):
    def forward(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > limit:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return batch

    return forward


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(limit):
    sizes: list[int] = []
    assert run_batches([1] * 11, 100, out_of_memory_over(limit, sizes)) == list(range(11))
    assert sizes[0] == 11
    assert max(size for size in sizes[1:]) <= 6


def test_one_text_that_does_not_fit_is_an_error_after_the_halving():
    sizes: list[int] = []
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        run_batches([1] * 4, 100, out_of_memory_over(0, sizes))
    assert sizes == [4, 2, 1]


def test_another_error_is_not_retried():
    sizes: list[int] = []

    def forward(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_batches([1] * 4, 100, forward)
    assert sizes == [4]


def test_progress_counts_every_text_once_also_after_halving():
    done: list[list[int]] = []
    run_batches([1] * 7, 100, out_of_memory_over(2, []), done.append)
    assert sorted(index for batch in done for index in batch) == list(range(7))


def test_an_exception_in_progress_ends_the_work_between_two_batches():
    batches: list[list[int]] = []

    def forward(batch: list[int]) -> list[int]:
        batches.append(batch)
        return batch

    def stop(done: list[int]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batches([1] * 4, 1, forward, stop)
    assert len(batches) == 1


def test_equal_sequences_are_computed_once_and_counted_each():
    seen: list[list] = []
    done: list[int] = []

    def forward(batch):
        seen.append(batch)
        return [sum(ids) for ids in batch]

    sequences = [[1, 2], [3], [1, 2], [3], [], [1, 2]]
    assert run_distinct(sequences, 2, forward, done.append) == [3, 3, 3, 3, 0, 3]
    assert sorted(ids for batch in seen for ids in batch) == [(), (1, 2), (3,)]
    assert sum(done) == 6


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 80 bytes."), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("std::bad_alloc"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("a text is too long"), False),
    ],
    ids=repr,
)
def test_out_of_memory_is_told_apart(error, expected):
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("before", [False, True])
def test_the_smallest_numbers_are_zero_while_it_computes_and_as_before_in_the_callers_thread(threads, before):
    def smallest() -> float:
        return float(torch.full((), 1e-39).mul(1.0))

    torch.set_flush_denormal(before)
    try:
        with torch_threads(threads):
            assert run_batches([1, 1], 1, lambda batch: [smallest()] * len(batch), threads=threads) == [0.0, 0.0]
        assert (smallest() == 0.0) is before
    finally:
        torch.set_flush_denormal(False)
