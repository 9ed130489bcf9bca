"""`compare --html`: both stages of a question as one page that can be mailed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from qwen3_rag.pages.moves import Kind, Moves
from qwen3_rag.pages.rendering import render
from qwen3_rag.pages.words import Piece, marked
from qwen3_rag.query.phrasing import headline, score
from qwen3_rag.query.rows import Row, SearchResult

MAX_BYTES = 100_000
"""Of a page. Where more was found, texts are cut first, then the last rows are left out, and the page says so."""
_SIZES = ((100, 10_000), (50, 2_500), (50, 800), (40, 400), (20, 200), (10, 100))
"""Rows of a list and letters of a text, tried until a page is small enough."""
_ASSETS = ("base.css", "lists.css", "lighting.js")
_TITLE = 120
_PATH = 200


class Wire(NamedTuple):
    """A line from a row of the first list to one of the second, by places from 0. `end` None: it is not kept."""

    anchor: str
    start: int
    end: int | None
    kind: Kind


class Line(NamedTuple):
    """A row of a list; `bar` is its score from 0 to 100, `move` how it moved, in a few letters."""

    anchor: str
    rank: int
    title: str
    where: str
    score: str
    bar: float
    kind: Kind
    move: str


class Card(NamedTuple):
    """A passage with its places in both lists; `cut` where the text is only its beginning."""

    anchor: str
    title: str
    where: str
    ranks: str
    kind: Kind
    pieces: list[Piece]
    cut: bool


@dataclass(frozen=True)
class Stage:
    """A list: its rows, and the score that a full bar stands for."""

    lines: list[Line]
    full: float


@dataclass(frozen=True)
class Comparison:
    """What the template shows. `left_out` counts the passages that have no row."""

    question: str
    first: Stage
    second: Stage | None
    wires: list[Wire]
    cards: list[Card]
    summary: str
    left_out: int


def comparison_page(result: SearchResult, facts: Mapping[str, object] | None = None) -> str:
    """One self-contained page of less than 100 kB; `facts` are settings to be named on it.

    >>> page = comparison_page(session.search("How is data stored?", top_n=10), {"collection": "docs"})
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    page = ""
    for rows, letters in _SIZES:
        if _bytes(result, rows, letters) > MAX_BYTES:
            continue
        view = compare(result, rows, letters)
        page = render("comparison.html", *_ASSETS, view=view, mode=result.mode, facts=facts or {})
        if len(page.encode()) < MAX_BYTES:
            break
    return page


def compare(result: SearchResult, rows: int, letters: int) -> Comparison:
    """The first `rows` of each list, texts of at most `letters`."""
    moves = Moves(result)
    first, second = result.dense[:rows], None if result.reranked is None else result.reranked[:rows]
    shown = {row.node_id: row for row in [*(second or ()), *first]}
    anchors = {one: f"p{number}" for number, one in enumerate(shown, 1)}
    every = {row.node_id for row in [*result.dense, *(result.reranked or ())]}
    return Comparison(
        question=cut(result.query, letters),
        first=_stage(first, anchors, moves, is_probability=result.mode == "dense"),
        second=None if second is None else _stage(second, anchors, moves),
        wires=[] if second is None else _wires(first, second, anchors, moves),
        cards=[_card(row, anchors[one], moves, result.query, letters) for one, row in shown.items()],
        summary=moves.summary(),
        left_out=len(every) - len(shown),
    )


def _bytes(result: SearchResult, rows: int, letters: int) -> int:
    """Of the texts alone: a page has more."""
    shown = {row.node_id: row.text for row in [*result.dense[:rows], *(result.reranked or ())[:rows]]}
    return sum(len(cut(text, letters).encode(errors="replace")) for text in shown.values())


def cut(text: str, letters: int) -> str:
    """`text`, or its beginning with an ellipsis."""
    return text if len(text) <= letters else text[: letters - 2].rstrip() + " …"


def _stage(rows: Sequence[Row], anchors: Mapping[str, str], moves: Moves, is_probability: bool = True) -> Stage:
    """Bars of cosines and probabilities go to 1, of other scores to the highest."""
    highest = max((row.score for row in rows), default=0.0)
    full = highest if highest > 1 or (highest > 0 and not is_probability) else 1.0
    return Stage([_line(row, anchors[row.node_id], moves, full) for row in rows], full)


def _line(row: Row, anchor: str, moves: Moves, full: float) -> Line:
    bar = round(max(0.0, min(1.0, row.score / full)) * 100, 1)
    kind, moved = moves.kind(row.node_id), moves.said(row.node_id)
    return Line(anchor, row.rank, _title(row), _where(row), score(row.score), bar, kind, moved)


def _card(row: Row, anchor: str, moves: Moves, question: str, letters: int) -> Card:
    text = row.text.strip()
    if text.startswith("#"):  # its heading is the card's
        text = text.partition("\n")[2].strip()
    where = [_where(row), None if row.page is None else f"page {row.page}"]
    where.append(None if row.position is None else f"passage {row.position}")
    shown, kind, ranks = cut(text, letters), moves.kind(row.node_id), moves.ranks(row.node_id)
    place = " · ".join(filter(None, where))
    return Card(anchor, _title(row), place, ranks, kind, marked(shown, question), cut=shown != text)


def _wires(first: Sequence[Row], second: Sequence[Row], anchors: Mapping[str, str], moves: Moves) -> list[Wire]:
    ends = {row.node_id: place for place, row in enumerate(second)}
    kinds = {row.node_id: moves.kind(row.node_id) for row in first}
    found = [
        Wire(anchors[row.node_id], start, ends.get(row.node_id), kinds[row.node_id])
        for start, row in enumerate(first)
        if row.node_id in ends or kinds[row.node_id] == "gone"
    ]
    order = ("gone", "same", "loss", "gain")  # the last drawn lies on top
    return sorted(found, key=lambda wire: order.index(wire.kind))


def _title(row: Row) -> str:
    return headline(row.text, _TITLE) or cut(row.source, _TITLE)


def _where(row: Row) -> str:
    """Document and headings, without the one that is the title."""
    headings = (row.header_path or "").split(" > ")
    if headings[-1] == _title(row):
        headings.pop()
    return " · ".join(filter(None, (cut(row.source, _PATH), cut(" › ".join(headings), _PATH))))
