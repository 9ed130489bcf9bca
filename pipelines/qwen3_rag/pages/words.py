"""Which words of a passage are words of the question. `assets/service.js` finds the same: a browser test compares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple

from qwen3_rag.pages.rendering import asset
from qwen3_rag.scripts import is_unspaced

FUNCTION_WORDS = "function_words.txt"
"""Words that say nothing of what is asked, in the languages of the knowledge base."""
_SHORTEST = 4
_HIRAGANA = re.compile("[\u3040-\u309f]*")
"""Japanese writes its endings and particles in it."""


class Piece(NamedTuple):
    """A part of a text, and whether it is to be marked."""

    text: str
    matched: bool


def marked(text: str, question: str) -> list[Piece]:
    """`text` in pieces that together are the text again.

    A word matches a word of the question, letters' case aside, also with another ending (`rise`, `rises`). Scripts
    without spaces match by pairs of characters.

    >>> marked("Dough rises.", "Why does dough rise?")
    [Piece(text='Dough', matched=True), Piece(text=' ', matched=False), Piece(text='rises', matched=True), \
Piece(text='.', matched=False)]
    """
    words, pairs = _asked(question)
    found: list[Piece] = []
    for kind, run in _runs(text):
        if kind == "unspaced":
            _add_unspaced(found, run, pairs)
        else:
            _add(found, run, kind == "word" and any(_same(_folded(run), word) for word in words))
    return found


@cache
def function_words() -> frozenset[str]:
    return frozenset(asset(FUNCTION_WORDS).split())


@lru_cache(maxsize=1)
def _asked(question: str) -> tuple[frozenset[str], frozenset[str]]:
    """The telling words of a question, and its pairs of characters without spaces."""
    words, pairs = set(), set()
    for kind, run in _runs(question):
        if kind == "word":
            words.add(_folded(run))
        elif kind == "unspaced":
            pairs |= {pair for i in range(len(run) - 1) if not _HIRAGANA.fullmatch(pair := run[i : i + 2])}
    return frozenset(words - function_words()), frozenset(pairs)


def _runs(text: str) -> Iterator[tuple[str, str]]:
    for kind, letters in groupby(text, _kind):
        yield kind, "".join(letters)


def _kind(letter: str) -> str:
    if is_unspaced(letter):
        return "unspaced"
    return "word" if unicodedata.category(letter)[0] in "LMN" else "other"


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word).lower()


def _same(one: str, other: str) -> bool:
    """Equal, or two thirds of the longer one in common from the beginning, and at least four letters."""
    if one == other:
        return True
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= _SHORTEST and 3 * shared >= 2 * max(len(one), len(other))


def _add_unspaced(found: list[Piece], run: str, pairs: frozenset[str]) -> None:
    inside = [False, *(run[i : i + 2] in pairs for i in range(len(run) - 1)), False]
    matched = (before or after for before, after in pairwise(inside))
    for is_matched, letters in groupby(zip(matched, run, strict=True), itemgetter(0)):
        _add(found, "".join(letter for _, letter in letters), is_matched)


def _add(found: list[Piece], text: str, matched: bool) -> None:
    if found and found[-1].matched == matched:
        found[-1] = Piece(found[-1].text + text, matched)
    else:
        found.append(Piece(text, matched))
