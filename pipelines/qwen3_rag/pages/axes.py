"""Axes: from values to places on a drawing, with round numbers."""

from __future__ import annotations

import math
from typing import NamedTuple


class Tick(NamedTuple):
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


class Scale(NamedTuple):
    """From a range of values to a range of places."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Rounded to a tenth, so that a page is small and the same on every machine.

        >>> Scale(0, 1, 100, 0).at(0.25)
        75.0
        """
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, count: int = 5) -> list[Tick]:
        """Round numbers within the range, at most about `count`.

        >>> [tick.text for tick in Scale(0, 0.9, 0, 100).ticks()]
        ['0', '0.2', '0.4', '0.6', '0.8']
        """
        step = _round_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [Tick(self.at(n * step), f"{n * step:,.{digits}f}") for n in range(first, last + 1)]


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
