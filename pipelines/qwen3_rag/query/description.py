"""What a collection holds, for those who are to choose and to filter: read from one passage of each document."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from qwen3_rag.config import RagConfig
from qwen3_rag.documents.invisible import visible
from qwen3_rag.documents.metadata import is_key
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.store.paging import read_pages
from qwen3_rag.store.vector_store import RagVectorStore

MAX_DOCUMENTS = 10_000
"""Documents whose metadata is read."""
MAX_KEYS = 30
MAX_VALUES = 8
MAX_LETTERS = 80
_NAMES = 10
_LANGUAGE_SAMPLE = 200
_LANGUAGE_BYTES = 100
"""Of a text whose language can be told."""
_UNSAID = frozenset({"root", "root_name", "document_id", "doc_id", "ref_doc_id"})
"""Paths of the machine, and what `source` says already."""
_OF_PASSAGES = frozenset({"position", "header_path", "page"})
"""These differ from passage to passage."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Value = str | int | float | bool


class FilterKey(BaseModel):
    """A key of metadata that filters can name. `values` are the most frequent of `distinct`; `first` and `last` the
    bounds of numbers and of dates."""

    key: str
    documents: int
    distinct: int
    values: list[Value] = Field(default_factory=list)
    first: Value | None = None
    last: Value | None = None


class CollectionDescription(BaseModel):
    """See the module docstring. `languages` counts documents of a sample by ISO 639 code."""

    collection: str
    about: str | None = None
    documents: int
    passages: int
    embed_model: str
    dimensions: int
    rerank_model: str | None = None
    hybrid: bool
    languages: dict[str, int]
    keys: list[FilterKey]
    titles: list[str]
    sources: list[str]
    note: str | None = None


def describe_collection(store: RagVectorStore, config: RagConfig, identity: ModelIdentity) -> CollectionDescription:
    """The description of an open collection. Its cost grows with the documents, up to 10,000 of them."""
    counts = store.count_sources()
    rows = _one_of_each(store, min(len(counts), MAX_DOCUMENTS))
    found = [_metadata(row) for row in rows]
    left = len(counts) - len(rows)
    return CollectionDescription(
        collection=store.collection_name,
        about=config.collections.get(store.collection_name),
        documents=len(counts),
        passages=sum(counts.values()),
        embed_model=_model(identity.name) or "",
        dimensions=identity.dimension,
        rerank_model=_model(config.reranker_name),
        hybrid=bool(store.enable_sparse),
        languages=_languages([row for row, fields in zip(rows, found, strict=True) if fields.get("format") != "code"]),
        keys=_keys(found),
        titles=_some(visible(str(one["title"])) for one in found if one.get("title")),
        sources=_some(sorted(counts)),
        note=f"keys, values and titles are those of {len(rows)} documents; {left} were not looked at" if left else None,
    )


def _one_of_each(store: RagVectorStore, wanted: int) -> list[dict[str, Any]]:
    """A passage of each document: its first, where passages are numbered, else any."""
    found: dict[str, dict[str, Any]] = {}
    for condition in ("position == 0", ""):
        if len(found) >= wanted:
            break
        read = 0
        for page in read_pages(store.client, store.collection_name, ["doc_id", "text", "_node_content"], condition):
            for row in page:
                if len(found) < wanted:
                    found.setdefault(str(row["doc_id"]), row)
            read += len(page)
            if len(found) >= wanted or read >= MAX_DOCUMENTS:
                break
    return list(found.values())


def _metadata(row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(row["_node_content"])["metadata"])
    except (KeyError, TypeError, ValueError):  # a row of another program
        return {}


def _keys(found: Sequence[Mapping[str, Any]]) -> list[FilterKey]:
    values: dict[str, Counter[Value]] = defaultdict(Counter)
    for one in found:
        for key, value in one.items():
            is_named = is_key(key) and not key.startswith("_") and key not in _UNSAID | _OF_PASSAGES
            if is_named and isinstance(value, str | int | float):
                values[key][value] += 1
    keys = sorted(values, key=lambda key: (-values[key].total(), key))
    return [_key(key, values[key]) for key in keys[:MAX_KEYS]]


def _key(key: str, values: Counter[Value]) -> FilterKey:
    first, last = _bounds(list(values))
    shown = [] if first is not None and len(values) > MAX_VALUES else values.most_common(MAX_VALUES)
    short = [one for one, _ in shown if not isinstance(one, str) or (len(one) <= MAX_LETTERS and one == visible(one))]
    return FilterKey(
        key=key, documents=values.total(), distinct=len(values), values=sorted(short, key=str), first=first, last=last
    )


def _bounds(values: Sequence[Value]) -> tuple[Value | None, Value | None]:
    """The least and the greatest, where all are numbers or all are dates."""
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) == len(values):
        return min(numbers), max(numbers)
    dates = [one for one in values if isinstance(one, str) and _DATE.match(one) and len(one) <= MAX_LETTERS]
    return (min(dates), max(dates)) if len(dates) == len(values) else (None, None)


def _languages(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    from py3langid import classify  # takes a quarter of a second

    step = max(1, len(rows) // _LANGUAGE_SAMPLE)
    texts = [str(row["text"]) for row in rows[::step]]
    found = Counter(str(classify(one[:2_000])[0]) for one in texts if len(one.encode()) >= _LANGUAGE_BYTES)
    return dict(found.most_common())


def _model(name: str | None) -> str | None:
    """A hub name as it is; of a folder its own name, not where it lies on the server."""
    return Path(name).name if name is not None and Path(name).is_absolute() else name


def _some(names: Iterable[str]) -> list[str]:
    """The first different ones, each in its beginning."""
    found: dict[str, None] = {}
    for name in names:
        found.setdefault(name if len(name) <= MAX_LETTERS else f"{name[:MAX_LETTERS]} ...")
        if len(found) == _NAMES:
            break
    return list(found)
