"""The pair inside LlamaIndex's own retrieval: prompts, generated documents and instructions arrive at the model."""

import asyncio

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.llms import CustomLLM
from llama_index.core.query_engine import RetrieverQueryEngine, TransformQueryEngine
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.embeddings.qwen3 import DocumentText, GeneratedDocuments, Qwen3Embedding, use_instruction
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from support import reference
from support.engines import FLOAT32_ON_CPU, PROBABILITY_TOLERANCE

TEXTS = ["Tyres need air.", "Bread is baked from dough.", "Paris is a capital.", "Vectors are stored in segments."]
SIMILARITY_TOLERANCE = 1e-5


class Hypothesis(CustomLLM):
    """A language model that always writes the same hypothetical document."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="Dough is kneaded and baked.")

    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


@pytest.fixture(scope="module")
def index(embedding_folder):
    embed_model = Qwen3Embedding(str(embedding_folder), **FLOAT32_ON_CPU)
    return VectorStoreIndex([TextNode(text=text, id_=text) for text in TEXTS], embed_model=embed_model)


def similarities(found) -> np.ndarray:
    scores = {one.node.get_content(): one.score for one in found}
    return np.array([scores[text] for text in TEXTS])


def expected(folder, vector) -> np.ndarray:
    return reference.embed(folder, TEXTS) @ (vector / np.linalg.norm(vector))


def test_a_retriever_asks_with_the_prompt(index, embedding_folder):
    found = index.as_retriever(similarity_top_k=4).retrieve("How is bread made?")
    query = reference.embed_queries(embedding_folder, ["How is bread made?"])[0]
    np.testing.assert_allclose(similarities(found), expected(embedding_folder, query), atol=SIMILARITY_TOLERANCE)


def test_an_instruction_for_one_call_passes_through_a_retriever(index, embedding_folder):
    retriever = index.as_retriever(similarity_top_k=4)
    query = reference.embed_queries(embedding_folder, ["bread"], "Find a recipe")[0]
    with use_instruction("Find a recipe"):
        found = retriever.retrieve("bread")
        again = asyncio.run(retriever.aretrieve("bread"))
    for result in (found, again):
        np.testing.assert_allclose(similarities(result), expected(embedding_folder, query), atol=SIMILARITY_TOLERANCE)


def test_document_texts_are_embedded_bare_beside_the_question(index, embedding_folder):
    bundle = QueryBundle("bread?", custom_embedding_strs=["bread?", DocumentText("Dough is baked.")])
    question = reference.embed_queries(embedding_folder, ["bread?"])[0]
    vector = (question + reference.embed(embedding_folder, ["Dough is baked."])[0]) / 2
    retriever = index.as_retriever(similarity_top_k=4)
    found, again = retriever.retrieve(bundle), asyncio.run(retriever.aretrieve(bundle))
    np.testing.assert_allclose(similarities(found), expected(embedding_folder, vector), atol=SIMILARITY_TOLERANCE)
    np.testing.assert_allclose(similarities(again), similarities(found), atol=SIMILARITY_TOLERANCE)


@pytest.mark.parametrize("include_original", [True, False])
def test_generated_documents_of_hyde_are_embedded_as_documents(index, embedding_folder, include_original):
    hyde = GeneratedDocuments(HyDEQueryTransform(llm=Hypothesis(), include_original=include_original))
    bundle = hyde.run("bread?")
    generated = [text for text in bundle.custom_embedding_strs if isinstance(text, DocumentText)]
    assert generated == ["Dough is kneaded and baked."]
    assert (len(bundle.custom_embedding_strs) == 2) is include_original
    vector = reference.embed(embedding_folder, generated)[0]
    if include_original:
        vector = (vector + reference.embed_queries(embedding_folder, ["bread?"])[0]) / 2
    found = index.as_retriever(similarity_top_k=4).retrieve(bundle)
    np.testing.assert_allclose(similarities(found), expected(embedding_folder, vector), atol=SIMILARITY_TOLERANCE)


def test_a_generated_document_that_repeats_the_question_stays_a_query(index):
    bundle = GeneratedDocuments(HyDEQueryTransform(llm=Hypothesis())).run("Dough is kneaded and baked.")
    assert not any(isinstance(text, DocumentText) for text in bundle.custom_embedding_strs)


@pytest.fixture
def rerank(reranker_folder):
    return Qwen3Rerank(str(reranker_folder), top_n=2, **FLOAT32_ON_CPU)


def test_a_query_engine_reranks_and_reports_the_probabilities(index, rerank, reranker_folder):
    engine = index.as_query_engine(similarity_top_k=4, node_postprocessors=[rerank], llm=Hypothesis())
    scores = sorted(reference.score(reranker_folder, "How is bread made?", TEXTS), reverse=True)[:2]
    for response in (engine.query("How is bread made?"), asyncio.run(engine.aquery("How is bread made?"))):
        np.testing.assert_allclose([found.score for found in response.source_nodes], scores, atol=PROBABILITY_TOLERANCE)


def test_one_instruction_reaches_both_stages_of_a_query_engine(index, rerank, reranker_folder):
    engine = RetrieverQueryEngine.from_args(
        index.as_retriever(similarity_top_k=4),
        node_postprocessors=[rerank],
        llm=Hypothesis(),
    )
    with use_instruction("Find a recipe"):
        response = engine.query("bread")
    scores = sorted(reference.score(reranker_folder, "bread", TEXTS, "Find a recipe"), reverse=True)[:2]
    np.testing.assert_allclose([one.score for one in response.source_nodes], scores, atol=PROBABILITY_TOLERANCE)


def test_the_reranker_judges_by_the_question_and_not_by_the_generated_document(index, rerank, reranker_folder):
    engine = index.as_query_engine(similarity_top_k=4, node_postprocessors=[rerank], llm=Hypothesis())
    hyde = GeneratedDocuments(HyDEQueryTransform(llm=Hypothesis()))
    response = TransformQueryEngine(engine, hyde).query("bread?")
    scores = sorted(reference.score(reranker_folder, "bread?", TEXTS), reverse=True)[:2]
    np.testing.assert_allclose([one.score for one in response.source_nodes], scores, atol=PROBABILITY_TOLERANCE)


async def test_concurrent_retrievals_with_instructions_of_their_own(index, embedding_folder):
    async def ask(task):
        with use_instruction(task):
            return similarities(await index.as_retriever(similarity_top_k=4).aretrieve("bread"))

    tasks = [f"task {i}" for i in range(8)]
    for task, found in zip(tasks, await asyncio.gather(*map(ask, tasks)), strict=True):
        query = reference.embed_queries(embedding_folder, ["bread"], task)[0]
        np.testing.assert_allclose(found, expected(embedding_folder, query), atol=SIMILARITY_TOLERANCE)
