"""A document's metadata as Milvus can hold it: JSON values within its bounds. What cannot be is refused by name."""

from __future__ import annotations

import datetime
import enum
import json
import math
import re
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from qwen3_rag.errors import ConfigError

MAX_METADATA_BYTES = 30_000
"""Milvus holds a row's metadata twice (for filters, and in the node) in 65,536 bytes."""
_INT64 = range(-(2**63), 2**63)
_WORDS = frozenset(("and", "or", "not", "in", "like", "is", "null", "exists", "true", "false", "iso", "interval"))
"""Of Milvus' conditions."""
_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
OWN_KEYS = frozenset(
    {"id", "doc_id", "document_id", "ref_doc_id", "text", "embedding", "sparse_embedding", "bm25_text"}
    | {"source", "root", "format", "file_type", "title", "header_path", "position", "page", "modified", "beir_id"}
)
"""Metadata that the pipeline writes itself, and the fields of a collection."""


def is_key(key: str) -> bool:
    """Whether a filter may name it. Keys go into Milvus' expressions unquoted.

    >>> is_key("source"), is_key("größe"), is_key("a b"), is_key("not")
    (True, False, False, False)
    """
    return _KEY.fullmatch(key) is not None and key.lower() not in _WORDS


def as_number(text: str) -> int | float | None:
    """The number that a text is; None for any other text, one that begins with a needless zero among them.

    >>> as_number("2024"), as_number("-1.5"), as_number("007"), as_number("1.2.3")
    (2024, -1.5, None, None)
    """
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("-").isdecimal():
        return int(text) if int(text) in _INT64 else None
    return float(text) if math.isfinite(float(text)) else None


def parse_meta(pairs: Iterable[str]) -> dict[str, str | int | float]:
    """`key=value` texts as metadata. What is written as a number is written is one, so that it compares as such.

    >>> parse_meta(["team=search", "year=2024", "version=1.10"])
    {'team': 'search', 'year': 2024, 'version': '1.10'}
    """
    found: dict[str, str | int | float] = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not value or key in found:
            raise ConfigError(f"--meta {pair!r} must read key=value, each key once, e.g. team=search")
        number = as_number(value)
        found[key] = value if number is None or str(number) != value else number
    return dict(check_given(found))


def check_given(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata for all documents, unless a filter could not name a key, or it is one that the pipeline writes."""
    for key in metadata:
        if not is_key(key) or key.startswith("_"):
            raise ConfigError(f"--meta {key!r} is no metadata key; keys are letters, digits and underscores")
        if key in OWN_KEYS:
            raise ConfigError(f"--meta {key!r} is written by the pipeline itself; give another key")
    return storable(metadata, "--meta")


def modified(seconds: float) -> str | None:
    """A file's time of modification, in ISO and UTC, so that times compare as texts.

    >>> modified(1700000000.7)
    '2023-11-14T22:13:20+00:00'
    """
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):  # a year that is none
        return None


def storable(metadata: Mapping[str, Any], document: str) -> dict[str, Any]:
    """`metadata` with dates as ISO strings and other simple types as their JSON counterparts.

    Raises:
        ConfigError: a value that JSON or Milvus cannot hold; names document, key and remedy.

    >>> storable({"when": datetime.date(2024, 1, 31), "tags": ("a", "b")}, "doc")
    {'when': '2024-01-31', 'tags': ['a', 'b']}
    """
    found = {}
    for key, value in metadata.items():
        try:
            found[check_text(key)] = _value(value)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"document {document!r}: metadata {key!r} {error}") from None
    size = {key: len(json.dumps(value, ensure_ascii=False).encode()) for key, value in found.items()}
    if sum(size.values()) > MAX_METADATA_BYTES:
        largest = max(size, key=size.__getitem__)
        raise ConfigError(
            f"document {document!r}: its metadata is {sum(size.values()):,} bytes of JSON, Milvus holds "
            f"{MAX_METADATA_BYTES:,}; shorten {largest!r} ({size[largest]:,} bytes), or move it into the text"
        )
    return found


def check_text(text: str) -> str:
    """The text, unless it cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half of a surrogate pair at letter {error.start}; replace it") from None
    return text


def _value(value: Any) -> Any:
    match value:
        case enum.Enum():
            return _value(value.value)
        case None | bool():
            return value
        case str():
            return check_text(str(value))
        case int() if value in _INT64:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
        case uuid.UUID() | PurePath() | Decimal():
            return check_text(str(value))
        case Mapping() if all(isinstance(key, str) for key in value):
            return {check_text(key): _value(one) for key, one in value.items()}
        case list() | tuple():
            return [_value(one) for one in value]
        case set() | frozenset():
            return sorted((_value(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
        case _ if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return _value(value.tolist())
    shown = repr(value)[:60]
    raise ValueError(f"is {shown} ({type(value).__name__}), which Milvus cannot hold; make it a string or drop it")
