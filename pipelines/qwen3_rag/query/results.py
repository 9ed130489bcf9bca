"""LlamaIndex' nodes as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore

from qwen3_rag.documents.invisible import visible
from qwen3_rag.query.rows import DocumentPassages, Passage, RerankedRow, Row, SearchResult, SourceList
from qwen3_rag.store.reading import read_document
from qwen3_rag.store.vector_store import RagVectorStore


def as_result(
    question: str, candidates: Sequence[NodeWithScore], kept: Sequence[NodeWithScore] | None, mode: str = "dense"
) -> SearchResult:
    """Two lists of nodes as a `SearchResult`."""
    before = {hit.node_id: hit.score or 0.0 for hit in candidates}
    reranked = None
    if kept is not None:
        reranked = [
            RerankedRow(**_row(rank, hit), retrieval_score=before.get(hit.node_id, 0.0))
            for rank, hit in enumerate(kept, 1)
        ]
    dense = [Row(**_row(rank, hit)) for rank, hit in enumerate(candidates, 1)]
    return SearchResult(query=question, mode=mode, dense=dense, reranked=reranked)


def read_passages(store: RagVectorStore, source: str, start: int = 0, count: int | None = None) -> DocumentPassages:
    """Passages `start` to `start + count` of a document (None: to its end), in their order.

    Raises:
        ConfigError: there is no such document, or a bound is none.

    >>> read_passages(store, "docs/faq.md", start=2, count=1).passages[0].position
    2
    """
    found = read_document(store, source, start, count)
    passages = [Passage(**_fields(node)) for node in found.nodes]
    return DocumentPassages(source=source, total=found.total, passages=passages)


class StoredDocuments:
    """The documents of an open collection."""

    def __init__(self, store: RagVectorStore) -> None:
        self._store = store

    def list_sources(self, prefix: str = "", limit: int = 1_000) -> SourceList:
        """The first `limit` documents whose names begin with `prefix`."""
        return SourceList.of(self._store.count_sources(prefix), limit)

    def show(self, source: str, start: int = 0, count: int | None = None) -> DocumentPassages:
        """See `read_passages`."""
        return read_passages(self._store, source, start, count)


def _row(rank: int, hit: NodeWithScore) -> dict[str, Any]:
    return {"rank": rank, "score": hit.score or 0.0, **_fields(hit.node)}


def _fields(node: BaseNode) -> dict[str, Any]:
    found = node.metadata
    return {
        "text": visible(node.get_content(metadata_mode=MetadataMode.NONE)),
        "source": str(found.get("source") or node.ref_doc_id or ""),
        "node_id": node.node_id,
        "title": _text(found.get("title")),
        "header_path": _text(found.get("header_path")),
        "position": found["position"] if type(found.get("position")) is int else None,
        "page": found["page"] if type(found.get("page")) is int else _text(found.get("page")),
    }


def _text(value: Any) -> str | None:
    """What other readers may have put there, as text; None for nothing."""
    return None if value is None else visible(str(value)) or None
