"""Question to passages: retriever, query engine, and `search`, which shows both stages.

Everything returned here is a plain LlamaIndex object, to be composed with whatever is there already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQueryMode
from pydantic import BaseModel

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.store.vector_store import RagVectorStore

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

    from qwen3_rag.models import Models


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


def make_index(store: RagVectorStore, embed_model: BaseEmbedding) -> VectorStoreIndex:
    """The collection as a LlamaIndex index."""
    return VectorStoreIndex.from_vector_store(store, embed_model=embed_model)


def make_retriever(
    config: RagConfig, store: RagVectorStore, embed_model: BaseEmbedding, filters: MetadataFilters | None = None
) -> BaseRetriever:
    """The first stage: `top_k` candidates in the configured mode.

    >>> retriever = make_retriever(config, store, models.embed, parse_filters(["source=faq.md"]))
    >>> [hit.score for hit in retriever.retrieve("How is data stored?")]
    [0.83, 0.73]
    """
    mode = VectorStoreQueryMode.HYBRID if config.mode == "hybrid" else VectorStoreQueryMode.DEFAULT
    return make_index(store, embed_model).as_retriever(
        similarity_top_k=config.top_k, vector_store_query_mode=mode, filters=filters
    )


def make_query_engine(
    config: RagConfig,
    store: RagVectorStore,
    models: Models,
    *,
    llm: LLM | None = None,
    filters: MetadataFilters | None = None,
    streaming: bool = False,
) -> RetrieverQueryEngine:
    """Retriever, reranker and an answer with numbered sources, as one LlamaIndex query engine.

    `llm` defaults to the configured one. The prompt is `response_synthesizer:text_qa_template` of
    `engine.get_prompts()` and is replaced with `engine.update_prompts(...)`.

    >>> engine = make_query_engine(config, store, models)
    >>> response = engine.query("How is data stored in milvus?")
    >>> print(response, response.source_nodes)
    """
    from qwen3_rag.query.answer import CitedSynthesizer, make_llm, make_prompt

    synthesizer = CitedSynthesizer(
        llm=llm or make_llm(config), text_qa_template=make_prompt(config.system_prompt), streaming=streaming
    )
    return RetrieverQueryEngine(
        retriever=make_retriever(config, store, models.embed, filters),
        response_synthesizer=synthesizer,
        node_postprocessors=[models.rerank] if models.rerank else [KeepTopN(top_n=config.top_n)],
    )


class KeepTopN(BaseNodePostprocessor):
    """Stands where a reranker would: keeps the first `top_n` of the first stage."""

    top_n: int

    @classmethod
    def class_name(cls) -> str:
        return "KeepTopN"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return nodes[: self.top_n]


def search(question: str, retriever: BaseRetriever, rerank: BaseNodePostprocessor | None) -> SearchResult:
    """Run both stages and keep both lists.

    >>> result = search("How is data stored?", retriever, models.rerank)
    >>> result.reranked[0].text.splitlines()[0]
    '#### Where does Milvus store data?'
    """
    candidates, kept = two_stages(question, retriever, rerank)
    return as_result(question, candidates, kept, _mode_of(retriever))


def two_stages(
    question: str, retriever: BaseRetriever, rerank: BaseNodePostprocessor | None
) -> tuple[list[NodeWithScore], list[NodeWithScore] | None]:
    """The candidates of the first stage and what the second keeps of them (None without a reranker).

    Raises:
        ConfigError: the question is empty or too long for a model.
    """
    if not question.strip():
        raise ConfigError("the question is empty; give one of at least one word")
    bundle = QueryBundle(question)
    try:
        candidates = retriever.retrieve(bundle)
        kept = None if rerank is None else rerank.postprocess_nodes(candidates, query_bundle=bundle)
    except ValueError as error:  # what the models say to a question they cannot take
        raise ConfigError(str(error)) from error
    return candidates, kept


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


def _mode_of(retriever: BaseRetriever) -> str:
    return "hybrid" if getattr(retriever, "_vector_store_query_mode", None) is VectorStoreQueryMode.HYBRID else "dense"


def parse_filters(pairs: Sequence[str]) -> MetadataFilters | None:
    """`key=value` pairs, all of which must hold.

    >>> parse_filters(["source=faq.md"]).filters[0].value
    'faq.md'
    """
    filters: list[MetadataFilter | MetadataFilters] = []
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z_]\w*", key.strip()) or not value.strip():
            raise ConfigError(f"--filter {pair!r} must read key=value, e.g. source=docs/faq.md; see `qwen3-rag info`")
        # The store quotes the value but leaves backslashes, which Milvus reads as escapes.
        filters.append(MetadataFilter(key=key.strip(), value=value.strip().replace("\\", "\\\\")))
    return MetadataFilters(filters=filters) if filters else None
