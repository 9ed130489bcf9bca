"""A document of the collection by its name: its passages in their order."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from llama_index.core.schema import BaseNode

from qwen3_rag.errors import ConfigError, NotThereError
from qwen3_rag.store.catalog import find_catalog
from qwen3_rag.store.literals import literal
from qwen3_rag.store.paging import read_pages
from qwen3_rag.store.vector_store import RagVectorStore

_GROUP = 1_000
_SHOWN = 3


@dataclass(frozen=True)
class DocumentPart:
    """Passages of a document from one on; `total` counts them all."""

    source: str
    total: int
    nodes: list[BaseNode]


def read_document(store: RagVectorStore, source: str, start: int = 0, count: int | None = None) -> DocumentPart:
    """Passages `start` to `start + count` of a document (None: to its end), by their position.

    Raises:
        NotThereError: there is no such document.
        ConfigError: a bound is negative.
    """
    if start < 0 or (count is not None and count < 1):
        raise ConfigError(f"from={start}, count={count}: passages count from 0, and at least one is shown; give these")
    ids = passage_ids(store, source)
    if not ids:
        raise NotThereError(f"no document {source!r} in collection {store.collection_name!r}{_likely(store, source)}")
    wanted = ids[start:] if count is None else ids[start : start + count]
    held = store.held(wanted)
    return DocumentPart(source, len(ids), [held[one] for one in wanted if one in held])


def passage_ids(store: RagVectorStore, source: str) -> list[str]:
    """The ids of a document's passages that are there, by position. What the catalog does not know, another program may
    have written."""
    catalog = find_catalog(store.client, store.collection_name, store.uid)
    entry = catalog.get([source]).get(source) if catalog is not None else None
    found: list[tuple[int, str]] = []
    if entry is None:
        condition = f"doc_id == {literal(source)}"
        pages = read_pages(store.client, store.collection_name, ["id", "position"], condition)
        found = [(int(row.get("position") or 0), row["id"]) for page in pages for row in page]
    else:
        for at in range(0, len(entry.ids), _GROUP):
            some = list(entry.ids[at : at + _GROUP])
            rows = store.client.get(
                store.collection_name, some, output_fields=["id", "position"], consistency_level="Strong"
            )
            found += [(int(row.get("position") or 0), row["id"]) for row in rows]
    return [one for _, one in sorted(found)]


def _likely(store: RagVectorStore, source: str) -> str:
    """The names that may have been meant."""
    names = sorted(store.count_sources())
    likely = [name for name in names if name.endswith(f"/{source}") or name.startswith(f"{source}/")][:_SHOWN]
    likely = likely or difflib.get_close_matches(source, names, _SHOWN)
    return f"; there is {', '.join(map(repr, likely))}" if likely else f"; it has {len(names)} others"
