"""The passages of a question as rows: what the command line, the tools and the services say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import MetadataMode, NodeWithScore
from pydantic import BaseModel


class Row(BaseModel):
    """One passage of a result list. `rank` counts from 1; `text` is the passage as stored."""

    rank: int
    score: float
    text: str
    source: str
    node_id: str


class RerankedRow(Row):
    """A passage after the second stage: `score` is the reranker's, `retrieval_score` the first stage's."""

    retrieval_score: float


class SearchResult(BaseModel):
    """Both stages for one question. `reranked` is None without a reranker."""

    query: str
    mode: str = "dense"
    dense: list[Row]
    reranked: list[RerankedRow] | None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the command line; `mode` stands in it where the first stage is not the dense one."""
        return self.model_dump(exclude={"mode"} if self.mode == "dense" else None)

    @property
    def best(self) -> Sequence[Row]:
        """The last stage's rows."""
        return self.dense if self.reranked is None else self.reranked


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


def _row(rank: int, hit: NodeWithScore) -> dict[str, Any]:
    return {
        "rank": rank,
        "score": hit.score or 0.0,
        "text": hit.node.get_content(metadata_mode=MetadataMode.NONE),
        "source": str(hit.node.metadata.get("source") or hit.node.ref_doc_id or ""),
        "node_id": hit.node_id,
    }
