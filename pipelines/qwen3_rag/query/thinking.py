"""A reasoning model's thoughts, taken out of its answer, whole or as it is streamed.

Thoughts stand between `<think>` and `</think>`, the first at the start of a line; without an end they go on to the end
of the text. A tag in the middle of a line is text: an answer may speak of tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_OPEN = re.compile(r"(?:\A|(?<=\n))[ \t]*<think(?:ing)?>")
_CLOSE = re.compile(r"</think(?:ing)?>\s*")
_LONE_CLOSE = re.compile(r"\A.*^[ \t]*</think(?:ing)?>\s*", re.DOTALL | re.MULTILINE)
# What might still become an opening tag: a line of nothing but its beginning.
_OPENING = re.compile(r"(?:\A|\n)[ \t]*(?:<(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g)?)?)?)?)?)?)?)?)?\Z")
_LONGEST_CLOSE = len("</thinking>")


def without_thoughts(text: str) -> str:
    """The answer alone, stripped. Some servers send the closing tag only; all before it is thought then.

    >>> without_thoughts("<think>\\nWhich one?\\n</think>\\n\\nFour [1].")
    'Four [1].'
    """
    stream = ThoughtFilter()
    answer = stream.feed(text) + stream.end()
    return _LONE_CLOSE.sub("", answer).strip()


class ThoughtFilter:
    """The same for pieces of a stream. `feed` gives what is certainly answer, `end` the rest.

    >>> stream = ThoughtFilter()
    >>> [stream.feed(piece) for piece in ("<thi", "nk>a</th", "ink>\\n", "Four", " [1]")] + [stream.end()]
    ['', '', '', 'Four', ' [1]', '']
    """

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._started = False
        self._mid_line = False  # whether the line that goes on in `_held` has begun with text

    @property
    def is_empty(self) -> bool:
        """Whether no answer has come so far."""
        return not self._started

    def feed(self, piece: str) -> str:
        self._held += piece
        return self._shown("".join(self._answer()))

    def end(self) -> str:
        rest, self._held = "" if self._inside else self._held, ""
        return self._shown(rest)

    def _answer(self) -> Iterator[str]:
        while found := self._search(_CLOSE if self._inside else _OPEN):
            if not self._inside:
                yield self._given(found[0])
            self._held, self._inside = self._held[found[1] :], not self._inside
        if self._inside:
            self._held = self._held[-_LONGEST_CLOSE:]
            return
        unsure = self._search(_OPENING)
        at = unsure[0] if unsure else len(self._held)
        yield self._given(at)
        self._held = self._held[at:]

    def _search(self, pattern: re.Pattern[str]) -> tuple[int, int] | None:
        """Where in `_held`, as if the beginning of its line were there."""
        context = "." if self._mid_line and not self._inside else ""
        found = pattern.search(context + self._held)
        return (found.start() - len(context), found.end() - len(context)) if found else None

    def _given(self, end: int) -> str:
        text = self._held[:end]
        *lines, last = text.split("\n")
        self._mid_line = bool(last.strip()) or (self._mid_line and not lines)
        return text

    def _shown(self, text: str) -> str:
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        return text
