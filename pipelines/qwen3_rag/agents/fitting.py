"""Results of bounded size, whatever was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from qwen3_rag.agents.wrapping import shorten

MAX_CHARS = 12_000
"""Length of one result: about 3,000 tokens, so that several fit into an agent's context."""
MIN_CHARS = 1_000
LINE = 200
"""Letters of a passage in a concise result."""
_SHORTEST_TEXT = 120


class Result(Protocol):
    """What a tool gives: `str()` is the text for a model, `model_dump` the same for a program."""

    def __str__(self) -> str: ...

    def model_dump_json(self, *, exclude_none: bool = ...) -> str: ...


AnyRow = TypeVar("AnyRow", bound=BaseModel)
AnyResult = TypeVar("AnyResult", bound=Result)


def size(result: Result) -> int:
    """Letters of the longer of its two forms."""
    return max(len(str(result)), len(result.model_dump_json(exclude_none=True)))


def fit(rows: Sequence[AnyRow], max_chars: int, build: Callable[[list[AnyRow], str | None], AnyResult]) -> AnyResult:
    """`build(rows, note)` with texts cut, all at the same length, until it is of at most `max_chars` letters.

    Last rows go only when there are no texts, or texts of `_SHORTEST_TEXT` letters are still too long together.
    """
    room, kept = max_chars, list(rows)
    while True:
        cut = [_cut(row, room) for row in kept]
        result = build(cut, _note(rows, cut))
        if (length := size(result)) <= max_chars or not kept:
            return result
        if room > _SHORTEST_TEXT and hasattr(kept[0], "text"):
            room = max(room * 3 // 4, _SHORTEST_TEXT)
        else:
            del kept[min(len(kept) - 1, len(kept) * max_chars // length) :]


def fit_whole(rows: Sequence[AnyRow], max_chars: int, build: Callable[[list[AnyRow]], AnyResult]) -> AnyResult:
    """`build(rows)` with as many of the first rows as fit, each of them whole; the first one in any case."""
    kept = list(rows)
    while (length := size(result := build(kept))) > max_chars and len(kept) > 1:
        del kept[max(1, min(len(kept) - 1, len(kept) * max_chars // length)) :]
    return result


def in_a_line(text: str) -> str:
    """The beginning of a passage, its heading included, in one line."""
    return shorten(" ".join(text.split()), LINE)


def _cut(row: AnyRow, length: int) -> AnyRow:
    text = getattr(row, "text", None)
    return row if text is None else row.model_copy(update={"text": shorten(text, length)})


def _note(rows: Sequence[Any], kept: Sequence[Any]) -> str | None:
    cut = sum(row != before for row, before in zip(kept, rows, strict=False))
    parts = [f"{cut} passages are cut, at the mark '...'; get_passages reads them whole"] if cut else []
    if len(kept) < len(rows):
        parts.append(f"{len(rows) - len(kept)} more passages left out; ask for fewer with top_n")
    return "; ".join(parts) or None
