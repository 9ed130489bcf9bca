"""Texts in Milvus' conditions. Its parsers know fewer escapes than JSON has, and no line break within a text."""

from __future__ import annotations

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def escaped(text: str) -> str:
    """What stands between quotes for a text that has none of its own.

    >>> escaped("a" + chr(10) + "b")
    'a\\\\nb'
    """
    return text.translate(_ESCAPES)


def literal(text: str) -> str:
    """A text in quotes.

    >>> literal('say "x"')
    '"say \\\\"x\\\\""'
    """
    return '"' + escaped(text).replace('"', '\\"') + '"'
