"""The collection as LlamaIndex objects to compose with others: index, retriever, query engine."""

from __future__ import annotations

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from llama_index.core.node_parser import NodeParser
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TransformComponent
from llama_index.core.vector_stores.types import MetadataFilters

from qwen3_rag.config import RagConfig
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.models import Models
from qwen3_rag.query.answer import CitedSynthesizer, make_prompt
from qwen3_rag.query.stages import query_mode
from qwen3_rag.store.vector_store import RagVectorStore


def make_index(store: RagVectorStore, embed_model: BaseEmbedding, parser: NodeParser | None = None) -> VectorStoreIndex:
    """The collection as a LlamaIndex index. `parser` cuts the documents that are inserted into it; None: what
    LlamaIndex's `Settings` name, whose default reads a vocabulary for half a second here already."""
    cuts: list[TransformComponent] | None = None if parser is None else [parser]
    return VectorStoreIndex.from_vector_store(store, embed_model=embed_model, transformations=cuts)


def make_retriever(
    config: RagConfig, store: RagVectorStore, embed_model: BaseEmbedding, filters: MetadataFilters | None = None
) -> BaseRetriever:
    """The first stage: `top_k` candidates in the configured mode.

    >>> retriever = make_retriever(config, store, models.embed, parse_filters(["source=faq.md"]))
    >>> [hit.score for hit in retriever.retrieve("How is data stored?")]
    [0.83, 0.73]
    """
    return make_index(store, embed_model, PassageParser()).as_retriever(
        similarity_top_k=config.top_k, vector_store_query_mode=query_mode(config.mode), filters=filters
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
    from qwen3_rag.query.llm import make_llm

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
