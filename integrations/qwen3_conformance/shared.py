"""What both suites check the same way: round trips, secrets, a free event loop."""

import asyncio
import copy
import json
import pickle
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from qwen3_conformance.outcome import require

Component = TypeVar("Component", bound=Any)
SECRET_NAMES = ("api_key", "apikey", "secret", "password", "access_token", "auth", "credential")
LARGEST_PICKLE = 200_000
LONG_ENOUGH = 0.2  # seconds of a call that shows whether the loop runs beside it
UNREADABLE = "\ud800"  # a lone surrogate: no tokenizer and no HTTP body takes it


def from_dict_of_to_dict(component: Component) -> Component:
    """The component rebuilt from its dictionary form, which must be JSON."""
    data = component.to_dict()
    try:
        data = json.loads(json.dumps(data))
    except TypeError as error:
        require(False, f"to_dict() is not JSON: {error}")
    try:
        rebuilt: Component = type(component).from_dict(data)
    except Exception as error:
        require(False, f"from_dict(to_dict()) raises {type(error).__name__}: {error}")
        raise
    require(rebuilt.to_dict() == component.to_dict(), "from_dict(to_dict()) gives other settings")
    return rebuilt


def unpickled(component: Component) -> Component:
    """The component after a pickle round trip, whose bytes must hold settings and no weights."""
    try:
        data = pickle.dumps(component)
        rebuilt: Component = pickle.loads(data)  # noqa: S301 (our own bytes)
    except Exception as error:
        require(False, f"pickling raises {type(error).__name__}: {error}; IngestionPipeline's workers need it")
        raise
    require(len(data) <= LARGEST_PICKLE, f"its pickle has {len(data)} bytes: weights or caches travel with it")
    require(rebuilt.to_dict() == component.to_dict(), "pickling changes settings")
    return rebuilt


def deep_copied(component: Component) -> Component:
    try:
        rebuilt = copy.deepcopy(component)
    except Exception as error:
        require(False, f"copy.deepcopy raises {type(error).__name__}: {error}")
        raise
    require(rebuilt is not component, "copy.deepcopy gives the object itself")
    require(rebuilt.to_dict() == component.to_dict(), "copy.deepcopy changes settings")
    return rebuilt


def require_no_secret(where: str, data: Any) -> None:
    """No key that names a secret has a value in `data`."""
    if isinstance(data, dict):
        for key, value in data.items():
            named = any(name in str(key).lower() for name in SECRET_NAMES)
            require(not (named and value), f"{where} carries {key!r}: it ends up in logs, traces and files")
            require_no_secret(where, value)
    elif isinstance(data, list | tuple):
        for value in data:
            require_no_secret(where, value)


def require_free_loop(call: Callable[[int], Awaitable[Any]]) -> None:
    """The loop comes round while `call(size)` runs. `size` grows until the call takes long enough to tell.

    A busy machine may cause one long gap, so any size that leaves the loop free settles it: a blocked loop never looks
    free. A model too quick to be told at the largest size blocks nobody.
    """

    async def longest_gap(size: int) -> tuple[float, float]:
        task = asyncio.ensure_future(call(size))
        started = last = time.perf_counter()
        longest = 0.0
        while not task.done():
            await asyncio.sleep(0.002)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        await task
        return longest, time.perf_counter() - started

    worst = 0.0
    for size in (8, 32, 128, 512, 2048):
        longest, whole = asyncio.run(longest_gap(size))
        if whole < LONG_ENOUGH:
            continue
        if longest < 0.5 * whole:
            return
        worst = max(worst, longest / whole)
    require(worst == 0.0, f"the event loop stood still for {worst:.0%} of the time of an asynchronous call")
