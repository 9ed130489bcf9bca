"""A document's metadata as Milvus can hold it: JSON values within its bounds. What cannot be is refused by name."""

from __future__ import annotations

import datetime
import enum
import json
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from qwen3_rag.errors import ConfigError

MAX_METADATA_BYTES = 30_000
"""Milvus holds a row's metadata twice (for filters, and in the node) in 65,536 bytes."""
_INT64 = range(-(2**63), 2**63)


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
