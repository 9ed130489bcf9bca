"""How a condition is written: `key=value`, `year>=2024`. Read before anything that would understand it is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from qwen3_rag.documents.metadata import is_key
from qwen3_rag.errors import ConfigError

_PAIR = re.compile(r"\s*(?P<key>.*?)\s*(?P<sign>!=|>=|<=|==|=|>|<)\s*(?P<value>.*?)\s*", re.DOTALL)


class Condition(NamedTuple):
    """`sign` is one of `= == != >= <= > <`."""

    key: str
    sign: str
    value: str


def read_condition(text: str) -> Condition:
    """The parts of a condition.

    Raises:
        ConfigError: it is none.

    >>> read_condition("year >= 2024")
    Condition(key='year', sign='>=', value='2024')
    """
    found = _PAIR.fullmatch(text)
    if not found or not is_key(found["key"]) or not found["value"]:
        raise ConfigError(
            f"--filter {text!r:.200} must read key=value, with one of = != >= <= > <, e.g. source=docs/faq.md or "
            "modified>=2024-01-31; see `qwen3-rag info`"
        )
    return Condition(found["key"], found["sign"], found["value"])


def check_conditions(texts: Sequence[str]) -> Sequence[str]:
    """The texts, if each is a condition."""
    for text in texts:
        read_condition(text)
    return texts
