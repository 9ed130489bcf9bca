"""Texts as callers give them: what is no text, or no list of texts, is an error that says what to pass instead."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Self


def check_text(text: Any, name: str) -> str:
    """`text`, where it is a string. `name` is what the caller knows it by: "the query", "text 3".

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(text, str):
        raise ValueError(
            f"{name} is {type(text).__name__}, not a string: {text!r:.80}; {_remedy(text, 'pass a string')}"
        )
    return text


def text_list(texts: Any, name: str, for_one: str) -> list[str]:
    """`texts` as a list of strings. `name`: what one of them is called; `for_one`: the call that takes a single one.

    Raises:
        ValueError: one string, something without an order, or an entry that is no string (named by its index).
    """
    if isinstance(texts, str):
        raise ValueError(f"{texts!r:.80} is one string where a list of strings belongs; pass [text], or call {for_one}")
    if isinstance(texts, bytes | bytearray | Mapping | Set) or not isinstance(texts, Iterable):
        remedy = _remedy(texts, "pass a list of strings")
        raise ValueError(f"{texts!r:.80} is {type(texts).__name__} where a list of strings belongs; {remedy}")
    return [check_text(text, f"{name} {index}") for index, text in enumerate(texts)]


def check_unicode(text: str, name: str) -> None:
    """Raise ValueError for half a surrogate pair, which no tokenizer and no UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} has the lone surrogate {text[error.start]!r} at position {error.start}, which is not Unicode "
            "text; clean it, for example with text.encode('utf-8', 'replace').decode()"
        ) from None


def _remedy(value: Any, otherwise: str) -> str:
    """Told by its methods: this package does not import LlamaIndex."""
    if isinstance(value, bytes | bytearray):
        return "decode it first, for example with data.decode('utf-8')"
    if hasattr(value, "query_str"):
        return "pass its query_str"
    if hasattr(value, "get_content"):
        return "pass its text, node.get_content()"
    return otherwise


class TextCutWarning(UserWarning):
    """A model reads only the beginning of a document."""


class Passage(str):
    """A document made of `before` (its metadata) and a text of its own; `name` is what the caller knows it by.

    An engine that cuts it can tell by these when nothing of the text is left. Everywhere else it is its string.
    """

    before: str
    name: str

    def __new__(cls, content: str, before: str, name: str) -> Self:
        passage = super().__new__(cls, content)
        passage.before, passage.name = before, name
        return passage

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (str(self), self.before, self.name)
