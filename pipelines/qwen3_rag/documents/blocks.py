"""Code and tables to pieces that can each be read alone: under the same fence, under the same header row."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qwen3_rag.documents.sentences import split_text, token_count

MAX_BYTES = 60_000
"""Below Milvus' 65,535 bytes for one text, with room for a repeated heading."""
MAX_CODE_TOKENS = 4_096
"""Code up to this size (some 500 lines) stays whole; models read it in one go."""
MAX_REPEATED = 200
"""Letters of a fence that is repeated over the pieces of its code."""

_FENCE = re.compile(r"(?P<before>(?:[ \t>]|[-+*][ \t]|\d{1,9}[.)][ \t])*)(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)")


def fits(text: str, limit: int) -> bool:
    """Whether a text is one passage: at most `limit` rough tokens, and within what Milvus holds."""
    return len(text.encode()) <= MAX_BYTES and token_count(text) <= limit


def split_code(text: str, limit: int) -> Iterator[str]:
    """Code whole up to MAX_CODE_TOKENS; else pieces of at most `limit` tokens, cut at line ends, each in the fence that
    is open there.

    >>> code = "```py\\n" + "x = 1\\n" * 3000 + "```"
    >>> {piece[:12] + piece[-4:] for piece in split_code(code, 512)}
    {'```py\\nx = 1\\n```'}
    """
    if fits(text, MAX_CODE_TOKENS):
        yield text
        return
    piece = _Piece(limit)
    for line in text.split("\n"):
        if piece.closes(line):
            piece.lines.append(line)
            piece.fence = piece.end = ""
        elif token_count(line) > limit and not fits(line, MAX_CODE_TOKENS):
            yield from piece.flush()
            yield from ("\n".join(filter(None, [piece.fence, part, piece.end])) for part in split_text(line, limit, 0))
        else:
            if not piece.has_room(line):
                yield from piece.flush()
            piece.add(line)
    yield from piece.flush()


class _Piece:
    """Lines of code under the fence that is open at their first one."""

    def __init__(self, limit: int) -> None:
        self.fence = self.end = ""
        self.lines: list[str] = []
        self._limit = limit
        self._tokens = self._bytes = 0

    def has_room(self, line: str) -> bool:
        return self._tokens + token_count(line) <= self._limit and self._bytes + len(line.encode()) < MAX_BYTES

    def add(self, line: str) -> None:
        self.lines.append(line)
        self._tokens += token_count(line)
        self._bytes += len(line.encode()) + 1
        found = _FENCE.match(line)
        if found and not self.fence and len(line) <= MAX_REPEATED:
            self.fence, self.end = line, re.sub(r"[^\s>]", " ", found["before"]) + found["mark"]

    def closes(self, line: str) -> bool:
        found = _FENCE.match(line) if self.fence else None
        return bool(found and found["mark"].startswith(self.end.strip(" \t>")) and not found["info"].strip())

    def flush(self) -> Iterator[str]:
        """The piece, its fence closed; the next one begins under the same fence."""
        if any(line.strip() for line in self.lines if line != self.fence):
            yield "\n".join([*self.lines, *filter(None, [self.end])]).strip("\n")
        self.lines, self._tokens, self._bytes = [], 0, 0
        if self.fence:
            self.add(self.fence)


def split_table(text: str, limit: int) -> Iterator[str]:
    """A table whole, or its rows in pieces of at most `limit` tokens, each under the header lines: of Markdown two, of
    reStructuredText those down to the rule under the header."""
    if fits(text, limit):
        yield text
        return
    lines = text.strip("\n").split("\n")
    height = header_height(lines)
    header, rows = lines[:height], lines[height:]
    if token_count("\n".join(header)) > limit // 2:
        header, rows = [], lines
    room = limit - token_count("\n".join(header))
    piece: list[str] = []
    size = 0
    for row in rows:
        cost = token_count(row)
        if piece and size + cost > room:
            yield "\n".join([*header, *piece])
            piece, size = [], 0
        if cost <= room:
            piece.append(row)
            size += cost
        else:
            yield from ("\n".join([*header, part]) for part in split_text(row, room, 0))
    if piece:
        yield "\n".join([*header, *piece])


def header_height(lines: list[str]) -> int:
    """The lines of a table's header with the rule under it."""
    first = lines[0].strip()
    if first.startswith("+-"):  # a grid: without a rule of = it has no header but its border
        return next((at + 1 for at, line in enumerate(lines) if line.strip().startswith("+=")), 1)
    if first.startswith("=="):
        rules = [at for at, line in enumerate(lines) if line.strip() and not line.strip(" =")]
        return rules[1] + 1 if len(rules) > 2 else 1
    return 2


def within_bytes(text: str) -> Iterator[str]:
    """The text cut to MAX_BYTES a piece, never inside a character; blank pieces and ends left out."""
    raw = text.encode()
    if len(raw) <= MAX_BYTES:
        yield text
        return
    at = 0
    while at < len(raw):
        piece = raw[at : at + MAX_BYTES].decode(errors="ignore")
        at += len(piece.encode())
        if piece.strip():
            yield piece.strip("\n").rstrip()
