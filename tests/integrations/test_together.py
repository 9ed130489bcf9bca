"""Many questions in one call give what they give one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.qwen3 import DocumentText, Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference import NumericalError, use_instruction
from qwen3_inference.local.parallel import side_by_side
from support.engines import FLOAT32_ON_CPU, PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker
from support.threads import torch_threads

QUERIES = [
    "What stores vectors?",
    "jumps over",
    "日本語",
    "What stores vectors?",
    "a much longer query about lazy dogs " * 9,
]
PASSAGES = ["The quick brown fox.", "Milvus stores vectors; " * 30, "", "日本語 中文", "The lazy dog jumps. " * 7]
LISTS = [PASSAGES, PASSAGES[:1], [], PASSAGES[::-1], PASSAGES * 3]


@pytest.fixture
def three_threads():
    with torch_threads(3):
        yield


def nodes(texts: list[str]) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text, id_=f"n{i}"), score=0.5) for i, text in enumerate(texts)]


def test_scores_together_are_the_scores_one_by_one(reranker_folder, three_threads):
    engine = reranker(reranker_folder, max_batch_tokens=64)
    done: list[int] = []
    together = engine.score_many(QUERIES, LISTS, instruction="Find it", progress=done.append)
    fresh = reranker(reranker_folder)
    for query, documents, scores in zip(QUERIES, LISTS, together, strict=True):
        assert scores.shape == (len(documents),)
        if documents:
            assert_close(scores, fresh.score(query, documents, instruction="Find it"), PROBABILITY_TOLERANCE)
    assert sum(done) == sum(map(len, LISTS))
    assert torch.get_num_threads() == 3
    assert engine.score_many([], []) == []
    with pytest.raises(ValueError, match="2 queries and 1 lists"):
        engine.score_many(["a", "b"], [["x"]])
    with pytest.raises(ValueError, match="no room for a document"):
        reranker(reranker_folder, max_length=128).score_many(["short", "long " * 200], [["x"], ["y"]])


def test_passages_side_by_side_give_what_they_give_alone(reranker_folder, embedding_folder, three_threads):
    passages = [f"{number} {text}" for number in range(12) for text in PASSAGES]
    counts: list[int] = []
    scores = reranker(reranker_folder).score(QUERIES[0], passages, progress=counts.append)
    vectors = embedder(embedding_folder).embed_documents(passages)
    assert len(counts) > 1
    assert sum(counts) == len(passages)
    torch.set_num_threads(1)
    assert_close(scores, reranker(reranker_folder).score(QUERIES[0], passages), PROBABILITY_TOLERANCE)
    assert_close(vectors, embedder(embedding_folder).embed_documents(passages), VECTOR_TOLERANCE)


def test_side_by_side_keeps_the_order_and_ends_with_the_first_error(three_threads):
    ran: list[int] = []

    def task(number: int):
        def run() -> int:
            ran.append(number)
            if number == 5:
                raise KeyError(number)
            assert torch.get_num_threads() == 1
            return number

        return run

    assert side_by_side([task(number) for number in range(5)]) == list(range(5))
    with pytest.raises(KeyError):
        side_by_side([task(number) for number in range(5, 400)])
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("together", [True, False])
def test_postprocessing_together_is_postprocessing_one_by_one(reranker_folder, together):
    rerank = Qwen3Rerank(reranker_folder, top_n=4, instruction="Find it", **FLOAT32_ON_CPU)
    if not together:
        engine = reranker(reranker_folder)
        rerank = Qwen3Rerank(engine=OneByOne(engine), top_n=4, instruction="Find it")
    given = [nodes(texts) for texts in LISTS]
    with use_instruction(rerank="Find another"):
        found = rerank.postprocess_many(given, QUERIES)
        for query, one, kept in zip(QUERIES, given, found, strict=True):
            expected = rerank.postprocess_nodes(one, query_str=query)
            assert [hit.node_id for hit in kept] == [hit.node_id for hit in expected]
            assert np.allclose([hit.score for hit in kept], [hit.score for hit in expected], atol=PROBABILITY_TOLERANCE)
    with pytest.raises(ValueError, match="give each query its own"):
        rerank.postprocess_many(given, QUERIES[:1])


class OneByOne:
    """A reranking engine with the protocol's methods alone."""

    def __init__(self, engine):
        self.score, self.ascore, self.model_name = engine.score, engine.ascore, "one by one"


def test_a_numerical_error_still_names_the_nodes(reranker_folder):
    engine = reranker(reranker_folder)

    class Broken(OneByOne):
        def score_many(self, *_, **__):
            raise NumericalError("the score of input 1 is not finite", [1])

    broken = Broken(engine)

    def score(*_, **__):
        raise NumericalError("the score of input 1 is not finite", [1])

    broken.score = score
    with pytest.raises(NumericalError, match=r"nodes: n1"):
        Qwen3Rerank(engine=broken).postprocess_many([nodes(PASSAGES)], ["q"])


def test_queries_together_are_the_queries_one_by_one(embedding_folder):
    embed = Qwen3Embedding(embedding_folder, embed_batch_size=2, query_instruction="Find it", **FLOAT32_ON_CPU)
    for queries in (QUERIES, [*QUERIES[:2], DocumentText("a document")], []):
        with use_instruction(query="Find another"):
            together = embed.get_query_embedding_batch(queries)
            alone = [embed.get_query_embedding(query) for query in queries]
        assert len(together) == len(queries)
        if queries:
            assert_close(np.array(together), np.array(alone), VECTOR_TOLERANCE)
    with pytest.raises(ValueError, match="one string where a list"):
        embed.get_query_embedding_batch("a query")
    with pytest.raises(ValueError, match="query 1"):
        embed.get_query_embedding_batch(["a", "\ud800"])
