"""Constructs that put questions of their own: router, sub-questions, HyDE, filters, hybrid, agents' query engines."""

from typing import Any

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.node_parser import HierarchicalNodeParser, SentenceWindowNodeParser, get_leaf_nodes
from llama_index.core.postprocessor import MetadataReplacementPostProcessor
from llama_index.core.query_engine import (
    RetrieverQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.retrievers import AutoMergingRetriever
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.selectors import EmbeddingSingleSelector
from llama_index.core.tools import QueryEngineTool
from llama_index.embeddings.qwen3 import GeneratedDocuments, Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_rag import Models, RagConfig, RagVectorStore, make_retriever
from qwen3_rag.query.filters import parse_filters

SHELVES = {
    "kitchen": ("Baking and cooking: bread, dough, sugar.", ["Yeast makes the bread dough rise.", "Sugar is sweet."]),
    "garage": ("Cars and driving: tyres, engines, brakes.", ["Worn brake pads squeal.", "Tyres need air."]),
}


@pytest.fixture
def tools(embed_model: Qwen3Embedding, rerank: Qwen3Rerank, llm: OpenAI) -> list[QueryEngineTool]:
    made = []
    for name, (description, texts) in SHELVES.items():
        index = VectorStoreIndex([TextNode(text=text) for text in texts], embed_model=embed_model)
        engine = index.as_query_engine(llm=llm, node_postprocessors=[rerank])
        made.append(QueryEngineTool.from_defaults(engine, name=name, description=description))
    return made


@pytest.fixture
def both_sides(embed_model: Qwen3Embedding, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the embedding engine gets as queries and as documents."""
    seen: dict[str, list[str]] = {"queries": [], "documents": []}
    for side, texts in seen.items():
        for prefix in ("", "a"):
            name = f"{prefix}embed_{side}"
            original = getattr(embed_model._local_engine, name)

            def spy(given: Any, *args: Any, original: Any = original, texts: list[str] = texts, **kwargs: Any) -> Any:
                texts.extend(given)
                return original(given, *args, **kwargs)

            monkeypatch.setattr(embed_model._local_engine, name, spy)
    return seen


async def test_router_compares_a_query_with_documents(
    tools: list[QueryEngineTool], embed_model: Qwen3Embedding, llm: OpenAI, both_sides: dict[str, list[str]]
) -> None:
    router = RouterQueryEngine(EmbeddingSingleSelector.from_defaults(embed_model), tools, llm=llm)
    for question, ind, answer in (
        ("What makes bread dough rise?", 0, "Yeast makes the bread dough rise."),
        ("Which brake pads squeal in a car?", 1, "Worn brake pads squeal."),
    ):
        for response in (router.query(question), await router.aquery(question)):
            assert response.metadata["selector_result"].ind == ind
            assert str(response) == answer
        assert question in both_sides["queries"]
    assert {description for description, _ in SHELVES.values()} <= set(both_sides["documents"])
    assert not {description for description, _ in SHELVES.values()} & set(both_sides["queries"])


async def test_sub_questions_reach_every_tool(tools: list[QueryEngineTool], llm: OpenAI) -> None:
    generator = LLMQuestionGenerator.from_defaults(llm)
    engine = SubQuestionQueryEngine.from_defaults(tools, llm=llm, question_gen=generator, verbose=False)
    for response in (
        engine.query("What makes pads squeal and dough rise?"),
        await engine.aquery("What makes it rise?"),
    ):
        asked = [node.text for node in response.source_nodes if node.text.startswith("Sub question")]
        assert len(asked) == len(tools)


async def test_hyde_embeds_the_generated_document_as_a_document(
    sweets: list[TextNode],
    embed_model: Qwen3Embedding,
    rerank: Qwen3Rerank,
    llm: OpenAI,
    both_sides: dict[str, list[str]],
) -> None:
    question = "What makes bread dough rise?"
    index = VectorStoreIndex(sweets, embed_model=embed_model)
    both_sides["documents"].clear()
    hyde = GeneratedDocuments(HyDEQueryTransform(llm=llm, include_original=True))
    engine = TransformQueryEngine(index.as_query_engine(llm=llm, node_postprocessors=[rerank]), hyde)
    for response in (engine.query(question), await engine.aquery(question)):
        assert str(response).startswith("Yeast makes the dough rise")
    assert set(both_sides["queries"]) == {question}
    assert all(text.startswith("This passage explains it:") for text in both_sides["documents"])
    assert len(both_sides["documents"]) == 2


async def test_filters_hold_in_both_stages(config: RagConfig, store: RagVectorStore, models: Models) -> None:
    question = QueryBundle("Why should sources be cited?")
    filters = parse_filters(["source=knowledge/milvus.md"])
    retriever = make_retriever(config, store, models.embed, filters)
    for found in (retriever.retrieve(question), await retriever.aretrieve(question)):
        kept = models.rerank.postprocess_nodes(found, query_bundle=question) if models.rerank else []
        assert len(kept) == 3
        assert {hit.node.metadata["source"] for hit in kept} == {"knowledge/milvus.md"}


async def test_hybrid_finds_a_word_by_its_letters(config: RagConfig, store: RagVectorStore, models: Models) -> None:
    retriever = make_retriever(config.model_copy(update={"mode": "hybrid", "top_k": 5}), store, models.embed)
    for found in (retriever.retrieve("HNSW IVF"), await retriever.aretrieve("HNSW IVF")):
        assert any("HNSW" in hit.text for hit in found)


async def test_a_sentence_is_found_and_its_window_shown(
    embed_model: Qwen3Embedding, rerank: Qwen3Rerank, llm: OpenAI
) -> None:
    text = "A hive is warm inside. Winter is long. Bread needs care. Yeast makes the dough rise. The oven is hot."
    nodes = SentenceWindowNodeParser.from_defaults(window_size=1).get_nodes_from_documents([Document(text=text)])
    index = VectorStoreIndex(nodes, embed_model=embed_model)
    stages = [rerank.model_copy(update={"top_n": 1}), MetadataReplacementPostProcessor(target_metadata_key="window")]
    engine = index.as_query_engine(llm=llm, similarity_top_k=5, node_postprocessors=stages)
    for response in (engine.query("What makes dough rise?"), await engine.aquery("What makes dough rise?")):
        assert str(response) == "Yeast makes the dough rise."
        shown = response.source_nodes[0].text
        assert "Bread needs care." in shown
        assert "The oven is hot." in shown


async def test_parents_that_were_merged_are_reranked(
    embed_model: Qwen3Embedding, rerank: Qwen3Rerank, llm: OpenAI
) -> None:
    sentences = ["Bread is baked from dough in an oven that is hot, and eaten fresh with butter or honey."] * 6
    text = " ".join([*sentences, "Yeast makes the dough rise before it goes into the oven."])
    parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[256, 64], chunk_overlap=0)
    nodes = parser.get_nodes_from_documents([Document(text=text), Document(text="Tyres need air.")])
    storage = StorageContext.from_defaults()
    storage.docstore.add_documents(nodes)
    index = VectorStoreIndex(get_leaf_nodes(nodes), storage_context=storage, embed_model=embed_model)
    retriever = AutoMergingRetriever(index.as_retriever(similarity_top_k=3), storage, simple_ratio_thresh=0.3)
    engine = RetrieverQueryEngine.from_args(retriever, llm=llm, node_postprocessors=[rerank])
    for response in (engine.query("What makes dough rise?"), await engine.aquery("What makes dough rise?")):
        assert str(response).startswith("Yeast makes the dough rise")
        assert response.source_nodes[0].text == text, "the parent did not take the place of its pieces"
