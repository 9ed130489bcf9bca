"""Many texts in requests that a server takes: divided, sent side by side, put together in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from qwen3_inference.local.batching import plan_batches
from qwen3_inference.remote.failures import RefusedError

REQUEST_TOKENS = 32_768
"""Of one request at most: larger ones run into the timeouts and body limits of servers."""
Ask = Callable[[list[int]], Awaitable[Sequence[Any]]]
"""The results for some texts, by their indices."""


class RequestSize:
    """How many texts go into a request: what the settings say, or fewer where the server was seen to take fewer."""

    def __init__(self, texts: int) -> None:
        self.texts = texts


async def run_requests(
    lengths: Sequence[int],
    ask: Ask,
    *,
    size: RequestSize,
    at_once: int,
    progress: Callable[[Sequence[int]], Awaitable[None]],
) -> list[Any]:
    """A result for each text. `lengths` are estimates where nothing better is known.

    The first failure ends the other requests. `progress` is awaited after each request, one at a time.
    """
    planned = list(plan_batches(lengths, REQUEST_TOKENS))
    batches = iter(
        [batch[start : start + size.texts] for batch in planned for start in range(0, len(batch), size.texts)]
    )
    results: dict[int, Any] = {}
    reporting = asyncio.Lock()

    async def work() -> None:
        for batch in batches:  # shared by all workers
            results.update(zip(batch, await _divided(batch, ask, size), strict=True))
            async with reporting:
                await progress(batch)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(lengths))):
                group.create_task(work())
        return [results[index] for index in range(len(lengths))]
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
    raise first  # out here, so that its traceback is not the group's


async def _divided(batch: list[int], ask: Ask, size: RequestSize) -> Sequence[Any]:
    """Asked at once, or by halves where the server refuses so many, down to the one text that it refuses."""
    if len(batch) <= size.texts:
        try:
            return await ask(batch)
        except RefusedError:
            if len(batch) == 1:
                raise
    middle = (len(batch) + 1) // 2
    results = [*await _divided(batch[:middle], ask, size), *await _divided(batch[middle:], ask, size)]
    size.texts = min(size.texts, middle)  # both halves went through: there were too many
    return results
