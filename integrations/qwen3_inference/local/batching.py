"""Token-budget batches and what happens when one does not fit into memory."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from qwen3_inference.engines import Progress

Result = TypeVar("Result")


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
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and tokens + lengths[index] > max_batch_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch


def run_batches(
    lengths: Sequence[int],
    max_batch_tokens: int,
    forward: Callable[[list[int]], Sequence[Result]],
    progress: Progress | None = None,
) -> list[Result]:
    """Results of `forward` for every index, in index order; a batch that runs out of memory is halved, down to one."""
    results: dict[int, Result] = {}
    pending = list(plan_batches(lengths, max_batch_tokens))[::-1]
    while pending:
        batch = pending.pop()
        try:
            results.update(zip(batch, forward(batch), strict=True))
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            middle = (len(batch) + 1) // 2
            pending += [batch[middle:], batch[:middle]]
        else:
            if progress is not None:
                progress(len(batch))
            continue
        # Outside the handler: only here have the failed forward's frames, and the tensors in them, been let go.
        release_memory()
    return [results[index] for index in range(len(lengths))]


def run_distinct(
    sequences: Sequence[Sequence[int]],
    max_batch_tokens: int,
    forward: Callable[[list[Sequence[int]]], Sequence[Result]],
    progress: Progress | None = None,
) -> list[Result]:
    """Results of `forward` for every sequence, in order; equal sequences are computed once.

    That makes their results equal to the last bit, which ties need: the same row of a matrix product may be rounded
    differently at another place of a batch.
    """
    places: dict[tuple[int, ...], int] = {}
    where = [places.setdefault(tuple(ids), len(places)) for ids in sequences]
    distinct = list(places)
    counts = Counter(where)
    done: list[int] = []

    def batch_forward(batch: list[int]) -> Sequence[Result]:
        results = forward([distinct[place] for place in batch])
        done[:] = batch
        return results

    def report(_: int) -> None:
        if progress is not None:
            progress(sum(counts[place] for place in done))

    results = run_batches([len(ids) for ids in distinct], max_batch_tokens, batch_forward, report)
    return [results[place] for place in where]


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
