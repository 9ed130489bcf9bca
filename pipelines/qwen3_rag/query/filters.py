"""Conditions on metadata, from the command line, a program or a model, as LlamaIndex filters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from qwen3_rag.errors import ConfigError

FilterValue = str | int | float
Filters = Mapping[str, FilterValue] | Sequence[str] | str | MetadataFilters | None
"""Values by key, `key=value` texts, or LlamaIndex's own filters; all of them must hold."""

_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def is_key(key: str) -> bool:
    """Whether a filter may name it. Keys go into Milvus' expressions unquoted.

    >>> is_key("source"), is_key("größe"), is_key("a b")
    (True, False, False)
    """
    return _KEY.fullmatch(key) is not None


def make_filters(wanted: Filters) -> MetadataFilters | None:
    """Any form of filters as LlamaIndex's; None when there are none.

    Raises:
        ConfigError: a key is not letters, digits and underscores of ASCII, or a text is not `key=value`.

    >>> make_filters({"source": "faq.md"}).filters[0].value
    'faq.md'
    """
    if isinstance(wanted, MetadataFilters):
        return wanted
    if not isinstance(wanted, Mapping):
        return parse_filters([wanted] if isinstance(wanted, str) else wanted or ())
    for key in wanted:
        if not is_key(key):
            raise ConfigError(f"{key!r} is no metadata key; keys are letters, digits and underscores")
    return _all_of([_equal(key, value) for key, value in wanted.items()])


def parse_filters(pairs: Sequence[str]) -> MetadataFilters | None:
    """`key=value` texts, all of which must hold.

    >>> parse_filters(["source=faq.md"]).filters[0].value
    'faq.md'
    """
    filters = []
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not is_key(key) or not value:
            raise ConfigError(f"--filter {pair!r} must read key=value, e.g. source=docs/faq.md; see `qwen3-rag info`")
        filters.append(_equal(key, value))
    return _all_of(filters)


def _equal(key: str, value: FilterValue) -> MetadataFilter:
    # MilvusVectorStore quotes a text but leaves its backslashes, which Milvus reads as escapes.
    return MetadataFilter(key=key, value=value.replace("\\", "\\\\") if isinstance(value, str) else value)


def _all_of(filters: Sequence[MetadataFilter]) -> MetadataFilters | None:
    return MetadataFilters(filters=list(filters)) if filters else None
