"""Token-budget batches and what happens when one does not fit into memory."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import heappush, heapreplace
from typing import Any, TypeVar

from qwen3_inference.engines import Progress
from qwen3_inference.local.parallel import work_off

Result = TypeVar("Result")
_FEWEST_TOKENS = 256
"""Of a batch that runs beside others: matrix products of fewer rows are slower."""


def plan_batches(lengths: Sequence[int], max_batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of at most `max_batch_tokens` tokens together, longest first.

    Sequences are packed one after another and never padded, so the budget counts real tokens. Longest first: equal
    lengths meet in one batch, and a batch that is too large for the memory shows at the start of a long run. A text
    over the budget is a batch of its own.

    >>> list(plan_batches([3, 9, 4, 2], 6))
    [[1], [2], [0, 3]]
    """
    batch: list[int] = []
    tokens = 0
    for index in _longest_first(lengths):
        if batch and tokens + lengths[index] > max_batch_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch


def plan_side_by_side(lengths: Sequence[int], max_batch_tokens: int, workers: int) -> list[list[int]]:
    """The same for `workers` at once, which share the budget: as many batches for each, about equally large.

    >>> plan_side_by_side([3, 9, 4, 2], 20, 2)
    [[1], [2, 0, 3]]
    """
    budget = max_batch_tokens // workers
    rounds = max(1, -(-sum(lengths) // (budget * workers)))
    batches: list[list[int]] = [[] for _ in range(rounds * workers)]
    smallest = [(0, number) for number in range(len(batches))]  # a heap
    for index in _longest_first(lengths):
        tokens, number = smallest[0]
        if tokens and tokens + lengths[index] > budget:
            batches.append([index])
            heappush(smallest, (lengths[index], len(batches) - 1))
        else:
            batches[number].append(index)
            heapreplace(smallest, (tokens + lengths[index], number))
    return [batch for batch in batches if batch]


def run_batches(
    lengths: Sequence[int],
    max_batch_tokens: int,
    forward: Callable[[list[int]], Sequence[Result]],
    progress: Callable[[list[int]], None] | None = None,
    threads: int = 1,
) -> list[Result]:
    """Results of `forward` for every index, in index order; a batch that runs out of memory is halved, down to one.

    Args:
        progress: called in this thread with the indices of each batch that is done.
        threads: those that `forward` computes with. On several, as many batches run side by side as are large enough
            for the matrix kernels' full rate; `forward` is then called from several threads at once.
    """
    workers = min(threads, len(lengths), sum(lengths) // _FEWEST_TOKENS, max_batch_tokens // _FEWEST_TOKENS)
    if workers <= 1:
        batches = list(plan_batches(lengths, max_batch_tokens))
    else:
        batches = plan_side_by_side(lengths, max_batch_tokens, workers)
    results: dict[int, Result] = {}

    def attempt(batch: list[int]) -> tuple[list[int], Sequence[Result] | None]:
        try:
            return batch, forward(batch)
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            return batch, None

    def ended(found: tuple[list[int], Sequence[Result] | None]) -> list[Callable[[], Any]]:
        batch, values = found
        if values is None:  # out here the failed forward's frames, and the tensors in them, have been let go
            release_memory()
            middle = (len(batch) + 1) // 2
            return [partial(attempt, batch[:middle]), partial(attempt, batch[middle:])]
        results.update(zip(batch, values, strict=True))
        if progress is not None:
            progress(batch)
        return []

    work_off([partial(attempt, batch) for batch in batches], ended, max(1, workers))
    return [results[index] for index in range(len(lengths))]


def run_distinct(
    sequences: Sequence[Sequence[int]],
    max_batch_tokens: int,
    forward: Callable[[list[Sequence[int]]], Sequence[Result]],
    progress: Progress | None = None,
    threads: int = 1,
) -> list[Result]:
    """Results of `forward` for every sequence, in order; equal sequences are computed once.

    That makes their results equal to the last bit, which ties need: the same row of a matrix product may be rounded
    differently at another place of a batch. `threads` as of `run_batches`.
    """
    places: dict[tuple[int, ...], int] = {}
    where = [places.setdefault(tuple(ids), len(places)) for ids in sequences]
    distinct = list(places)
    counts = Counter(where)

    def report(done: list[int]) -> None:
        if progress is not None:
            progress(sum(counts[place] for place in done))

    lengths = [len(ids) for ids in distinct]
    results = run_batches(
        lengths, max_batch_tokens, lambda batch: forward([distinct[place] for place in batch]), report, threads
    )
    return [results[place] for place in where]


def _longest_first(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate. On the CPU that is a plain RuntimeError, told apart by its message."""
    message = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in message
        or "could not create a memory object" in message
        or "bad_alloc" in message
    )


def release_memory() -> None:
    """Give cached device memory back before a smaller try."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
