"""Which documents are longer than a model reads, for callers that must not lose text in silence."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qwen3_inference.texts import Passage
from qwen3_inference.tokenization import PromptTokenizer

END_LENGTH = 1
"""Tokens behind every document: `<|endoftext|>`."""


@dataclass(frozen=True)
class Overlong:
    """A document of which only the beginning is read. `index` is its place in the caller's list; `tokens` counts all of
    it with the prompt, `room` what is read. `is_lost`: the metadata before its text takes all the room."""

    index: int
    tokens: int
    room: int
    is_lost: bool = False


def find_overlong(
    documents: Sequence[str],
    prompt: str,
    room: int,
    open_tokenizer: Callable[[], PromptTokenizer],
) -> list[Overlong]:
    """The documents that take more than `room` tokens behind `prompt`. The tokenizer is only opened for texts that may.

    >>> find_overlong(["tea", "tea " * 50], "", 30, lambda: PromptTokenizer(folder))
    [Overlong(index=1, tokens=51, room=30, is_lost=False)]
    """
    long = [index for index, text in enumerate(documents) if most_tokens(prompt + text) > room]
    if not long:
        return []
    tokenizer = open_tokenizer()
    counts = [len(ids) for ids in tokenizer.encode([documents[index] for index in long], prompt)]
    found = [Overlong(index, count, room) for index, count in zip(long, counts, strict=True) if count > room]
    return [Overlong(one.index, one.tokens, room, _is_lost(documents[one.index], room, tokenizer)) for one in found]


def most_tokens(text: str) -> int:
    """A bound that needs no tokenizer: a token is at least a byte of the text as a tokenizer may normalise it."""
    if text.isascii():
        return len(text)
    return max(len(unicodedata.normalize(form, text).encode("utf-8", "replace")) for form in ("NFD", "NFKD"))


def _is_lost(document: str, room: int, tokenizer: PromptTokenizer) -> bool:
    return isinstance(document, Passage) and len(tokenizer.encode([document.before])[0]) >= room
