"""What the agent tools say: JSON that a model can read and a program can parse, of bounded size."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from qwen3_rag.errors import describe_invalid
from qwen3_rag.explain import explain
from qwen3_rag.query.results import as_result
from qwen3_rag.query.rows import Passage, Row
from qwen3_rag.query.stages import Found

logger = logging.getLogger(__name__)

MAX_CHARS = 12_000
"""Length of one result: about 3,000 tokens, so that several fit into an agent's context."""
MIN_CHARS = 1_000
MAX_NAME = 160
"""Letters of a title or a header path."""
_SHORTEST_TEXT = 120
CUT = " ..."

Explain = Callable[[Exception], str | None]
"""One line for an error that a caller can act on; None for any other."""


class ToolError(BaseModel):
    """A call that failed, in words a model can act on."""

    error: str

    def __str__(self) -> str:
        return self.model_dump_json()


class Passages(BaseModel):
    """The result of `search`: passages, best first."""

    results: list[Row]
    note: str | None = Field(None, description="Set when something was left out or nothing was found.")

    def __str__(self) -> str:
        return self.model_dump_json(exclude_none=True)


class Numbered(BaseModel):
    """What the answer cites, as [1]."""

    number: int
    cited: bool


class Source(Passage, Numbered):
    """A passage that an answer was written from."""


class Answer(BaseModel):
    """The result of `ask`. `answer` is None when no passage was found."""

    answer: str | None
    sources: list[Source]
    note: str | None = None

    def __str__(self) -> str:
        return self.model_dump_json(exclude_none=True)


class SourceCount(BaseModel):
    """A document and the number of its passages."""

    source: str
    passages: int


class Sources(BaseModel):
    """The result of `list_sources`: `total` counts all that match, also those left out."""

    sources: list[SourceCount]
    total: int
    note: str | None = None

    def __str__(self) -> str:
        return self.model_dump_json(exclude_none=True)


AnyRow = TypeVar("AnyRow", bound=BaseModel)
AnyResult = TypeVar("AnyResult", bound=BaseModel)


def passages(found: Found, max_chars: int, nothing: str) -> Passages:
    """Nodes as a result of at most `max_chars` characters of JSON; `nothing` is the note when there are none."""
    rows = _rows(found)
    if not rows:
        return Passages(results=[], note=nothing)
    return fit(rows, max_chars, lambda fitting, note: Passages(results=fitting, note=note))


def answer(text: str, found: Found, max_chars: int) -> Answer:
    """An answer with its numbered passages, in at most `max_chars` characters of JSON."""
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", text)}
    sources = [
        Source(number=row.rank, cited=row.rank in cited, **row.model_dump(exclude={"rank", "score"}))
        for row in _rows(found)
    ]
    text = shorten(text, max_chars // 2)
    return fit(sources, max_chars, lambda fitting, note: Answer(answer=text, sources=fitting, note=note))


def _rows(found: Found) -> list[Row]:
    """The best passages, with titles and paths that leave room for texts."""
    rows = as_result("", found.best, None).dense
    return [row.model_copy(update={"title": _short(row.title), "header_path": _short(row.header_path)}) for row in rows]


def _short(name: str | None) -> str | None:
    return None if name is None else shorten(name, MAX_NAME)


def listed(found: Mapping[str, int], limit: int, max_chars: int = MAX_CHARS) -> Sources:
    """The first `limit` sources by name, fewer where their JSON would exceed `max_chars` characters."""
    rows = [SourceCount(source=name, passages=found[name]) for name in sorted(found)[:limit]]

    def build(fitting: list[SourceCount], _: str | None) -> Sources:
        left = len(found) - len(fitting)
        note = f"{left} more; narrow them down with prefix" if left else None
        return Sources(sources=fitting, total=len(found), note=note)

    return fit(rows, max_chars, build)


def fit(rows: Sequence[AnyRow], max_chars: int, build: Callable[[list[AnyRow], str | None], AnyResult]) -> AnyResult:
    """`build(rows, note)` with texts cut, all at the same length, until its JSON has at most `max_chars` characters.

    Last rows go only when there are no texts, or texts of `_SHORTEST_TEXT` characters are still too long together.
    """
    room, kept = max_chars, list(rows)
    while True:
        cut = [_cut(row, room) for row in kept]
        result = build(cut, _note(rows, cut))
        if (length := len(str(result))) <= max_chars or not kept:
            return result
        if room > _SHORTEST_TEXT and hasattr(kept[0], "text"):
            room = max(room * 3 // 4, _SHORTEST_TEXT)
        else:
            del kept[min(len(kept) - 1, len(kept) * max_chars // length) :]


def shorten(text: str, length: int) -> str:
    """`text`, or its beginning with " ..." where it is longer.

    >>> shorten("one two three", 9)
    'one t ...'
    """
    return text if len(text) <= length else text[: length - len(CUT)] + CUT


def _cut(row: AnyRow, length: int) -> AnyRow:
    text = getattr(row, "text", None)
    return row if text is None else row.model_copy(update={"text": shorten(text, length)})


def _note(rows: Sequence[Any], kept: Sequence[Any]) -> str | None:
    cut = sum(row != before for row, before in zip(kept, rows, strict=False))
    parts = [f"{cut} passages are cut, at the mark '...'"] if cut else []
    if len(kept) < len(rows):
        parts.append(f"{len(rows) - len(kept)} more passages left out; ask for fewer with top_n")
    return "; ".join(parts) or None


def failure(error: Exception, tool: str, own: Explain | None = None) -> ToolError:
    """The error as a result. What is a bug rather than the caller's or the surroundings' fault is logged in full."""
    if isinstance(error, ValidationError):
        what = "an argument of this tool"
        message: str | None = "; ".join(describe_invalid(one, what) for one in error.errors(include_url=False))
    else:
        known = explain(error) or (error if isinstance(error, ValueError) else None)
        message = str(known) if known else own and own(error)
    if message is None:
        logger.error("tool %s failed", tool, exc_info=error)
        message = f"internal error in {tool} ({type(error).__name__}); it is in the log, another question may work"
    return ToolError(error=shorten(message, MIN_CHARS // 2))
