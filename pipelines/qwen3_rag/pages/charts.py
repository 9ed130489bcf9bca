"""Geometry of the charts: numbers to places on a drawing. Templates and style sheets say what they look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from qwen3_rag.pages.axes import Scale, Tick

WIDTH, HEIGHT = 440, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 40

_NAME, _LINE = 90, 12
"""Room of a name beside a point."""


class Point(NamedTuple):
    """A setting on a chart of quality against cost, with its interval, and where its name stands."""

    x: float
    y: float
    low: float
    high: float
    name: str
    kind: str
    is_left: bool
    label: float


class Scatter(NamedTuple):
    """Quality against cost: points, axes, and a line through the points of a sweep."""

    points: list[Point]
    line: str
    x: list[Tick]
    y: list[Tick]
    unit: str


class Measured(NamedTuple):
    """What a point stands for."""

    cost: float
    value: float
    low: float
    high: float
    name: str
    kind: str


def scatter(found: Sequence[Measured], unit: str) -> Scatter:
    """A chart whose cost begins at 0; the points of kind `sweep` are joined."""
    x = Scale(0.0, max(one.cost for one in found) * 1.05 or 1.0, LEFT, WIDTH - RIGHT)
    low, high = min(one.low for one in found), max(one.high for one in found)
    room = max((high - low) * 0.12, 0.005)
    y = Scale(max(0.0, low - room), high + room, HEIGHT - BOTTOM, TOP)
    places = [(x.at(one.cost), y.at(one.value)) for one in found]
    points: list[Point] = []
    for number, (one, (at, height)) in enumerate(zip(found, places, strict=True)):
        others = [(place, level + 4) for other, (place, level) in enumerate(places) if other != number]
        label = _free(at, height, others + [(point.x, point.label) for point in points])
        points.append(Point(at, height, y.at(one.low), y.at(one.high), one.name, one.kind, at > WIDTH * 0.7, label))
    swept = sorted(point for point in points if point.kind == "sweep")
    line = "M" + "L".join(f"{point.x} {point.y}" for point in swept) if len(swept) > 1 else ""
    return Scatter(points, line, x.ticks(4), y.ticks(4), unit)


class Bars(NamedTuple):
    """Two kinds of counts over the same bins: outlines above and below the middle, and ticks."""

    above: str
    below: str
    middle: float
    x: list[Tick]
    mark: float | None


def mirrored(edges: Sequence[float], above: Sequence[int], below: Sequence[int], mark: float | None = None) -> Bars:
    """Each kind to its own height, so that few are seen beside many. `mark` is a value on the axis."""
    wide = edges[-1] - edges[0] or 1.0
    x = Scale(edges[0], edges[0] + wide, LEFT, WIDTH - RIGHT)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    outlines = [
        _steps(edges, counts, x, Scale(0.0, max(counts) or 1, middle, end))
        for counts, end in ((above, TOP), (below, HEIGHT - BOTTOM))
    ]
    return Bars(outlines[0], outlines[1], middle, x.ticks(), None if mark is None else x.at(mark))


def sorted_outline(values: Sequence[float], width: int, height: int, most: int = 400) -> tuple[str, str]:
    """Values best first as two areas, above and below 0; more than `most` are drawn by every so-manieth."""
    ordered = sorted(values, reverse=True)
    if len(ordered) > most:
        ordered = [ordered[place * (len(ordered) - 1) // (most - 1)] for place in range(most)]
    highest = max((abs(value) for value in ordered), default=0.0) or 1.0
    edges = [float(place) for place in range(len(ordered) + 1)]
    x, y = Scale(0.0, float(len(ordered) or 1), 0.0, width), Scale(-highest, highest, height, 0.0)
    return (
        _steps(edges, [max(value, 0.0) for value in ordered], x, y),
        _steps(edges, [min(value, 0.0) for value in ordered], x, y),
    )


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> float:
    """The line of a name: beside its point, or as near as other points and names leave room."""
    near = [line for place, line in taken if abs(place - x) < _NAME]
    lines = [round(y + 4 + step * _LINE / 2 * sign, 1) for step in range(4 * len(near) + 4) for sign in (1, -1)]
    return next(line for line in lines if all(abs(line - one) >= _LINE for one in near))


def _steps(edges: Sequence[float], values: Sequence[float], x: Scale, y: Scale) -> str:
    """A filled outline; values of 0 are left out, and a value that is not 0 is seen."""
    parts = []
    zero = y.at(0.0)
    for (start, end), value in zip(pairwise(edges), values, strict=True):
        if value:
            top = y.at(value)
            if abs(top - zero) < 1:
                top = zero + math.copysign(1, top - zero or y.end - y.start)
            parts.append(f"M{x.at(start)} {zero}V{top}H{x.at(end)}V{zero}")
    return "".join(parts)
