"""Text to pieces of a size: at paragraphs, sentences, clauses, words, in this order, in time linear in the text.

The pieces are those of LlamaIndex' `SentenceSplitter` with `count_tokens` and `sentences`; that class takes time in the
square of the text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

LONG_WORD = 400

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{1,4}}|[^\w\s]")
# A sentence is any character, then runs that end nothing, then an end. The possessive runs (`++`) are never tried in
# parts: a run of 100,000 dots costs 100,000 steps.
_SENTENCE = re.compile(
    r"""(?sx) .
    (?: [^.!?…。！？\n]++ | [.!?…]++ (?! ["')\]»”]*+ \s ) )*+
    (?: [.!?…]++ ["')\]»”]*+ (?=\s) | [。！？]++ [」』）]*+ | \n++ | \Z )
    \s*+"""
)
_CLAUSE = re.compile(r"[^,.;。？！]+[,.;。？！]?|[,.;。？！]")
_PARAGRAPHS = "\n\n\n"


def count_tokens(text: str) -> list[str]:
    """Rough tokens, the same for every model: up to 4 letters of a spaced script, one character of an unspaced one.

    The models' own tokenizers would tie passage borders, and with them node ids, to the model in use.

    >>> count_tokens("Milvus 数据库")
    ['Milv', 'us', '数', '据', '库']
    """
    return _TOKEN.findall(text)


def token_count(text: str) -> int:
    """How many rough tokens, without a list of them."""
    return sum(1 for _ in _TOKEN.finditer(text))


def sentences(text: str) -> list[str]:
    """Sentences by Western and CJK punctuation; joined they are the text again. Endless words (base64) are cut too."""
    return [part for one in _SENTENCE.findall(text) for part in (_slices(one) if _has_long_word(one) else [one])]


def split_text(text: str, limit: int, overlap: int) -> list[str]:
    """Pieces of at most `limit` rough tokens, stripped; neighbours share whole sentences of up to `overlap` tokens.

    >>> split_text("One two. Three four. Five six.", limit=6, overlap=0)
    ['One two. Three four.', 'Five six.']
    """
    return [piece for piece in map(str.strip, _pack(_units(text, limit), limit, overlap)) if piece]


def _units(text: str, limit: int, level: int = 0) -> Iterator[tuple[str, int]]:
    """(text, tokens) of the largest units that fit, each level tried on what the one before has left too large."""
    size = token_count(text)
    if size <= limit or level == len(_LEVELS):
        yield text, size
        return
    for part in _LEVELS[level](text):
        yield from _units(part, limit, level + 1)


def _pack(units: Iterable[tuple[str, int]], limit: int, overlap: int) -> Iterator[str]:
    """Join units while they fit. A piece begins with the last units of the one before, as many as `overlap` allows and
    as leave room for a new one."""
    piece: deque[tuple[str, int]] = deque()
    size = fresh = 0
    for text, tokens in units:
        if fresh and size + tokens > limit:
            yield "".join(one for one, _ in piece)
            size = fresh = 0
            kept: deque[tuple[str, int]] = deque()
            while piece and size + piece[-1][1] <= overlap:
                kept.appendleft(piece.pop())
                size += kept[0][1]
            piece = kept
        while not fresh and piece and size + tokens > limit:
            size -= piece.popleft()[1]
        piece.append((text, tokens))
        size += tokens
        fresh += 1
    if fresh:
        yield "".join(one for one, _ in piece)


def _has_long_word(text: str) -> bool:
    return len(text) >= LONG_WORD and any(len(word) >= LONG_WORD for word in text.split())


def _slices(text: str) -> list[str]:
    return [text[start : start + LONG_WORD] for start in range(0, len(text), LONG_WORD)]


def _keep_separator(separator: str) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        first, *others = text.split(separator)
        return [part for part in (first, *(separator + part for part in others)) if part]

    return split


_LEVELS: tuple[Callable[[str], Iterable[str]], ...] = (
    _keep_separator(_PARAGRAPHS), sentences, _CLAUSE.findall, _keep_separator(" "), list,
)  # fmt: skip
