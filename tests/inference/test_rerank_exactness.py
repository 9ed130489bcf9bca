"""Probabilities equal the authors' computation, whatever the batch, the order and the neighbours."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qwen3_inference.local.rerank import sigmoid
from support import reference
from support.engines import PROBABILITY_TOLERANCE, assert_close, reranker
from support.seeds import examples, random_of
from support.texts import ADDED, EDGE_CASES, random_texts

LONG = " ".join(f"word{i} vector database" for i in range(230))
DOCUMENTS = ["hello world", *EDGE_CASES, "milvus stores vectors " * 40, *random_texts(12, seed=4), "same", "same"]


@pytest.mark.parametrize("max_batch_tokens", [1, 100, 8192])
def test_probabilities_equal_the_reference_for_every_shape(shape, checkpoint_folder, max_batch_tokens):
    folder = checkpoint_folder("reranker", shape)
    scores = reranker(folder, max_batch_tokens=max_batch_tokens).score("How is data stored?", DOCUMENTS)
    assert_close(scores, reference.score(folder, "How is data stored?", DOCUMENTS), PROBABILITY_TOLERANCE)
    assert scores.dtype == np.float64


@pytest.mark.parametrize("query", EDGE_CASES, ids=repr)
def test_any_query_equals_the_reference(reranker_folder, query):
    documents = ["hello world", "", " b", "\nc"]
    assert_close(
        reranker(reranker_folder).score(query, documents),
        reference.score(reranker_folder, query, documents),
        PROBABILITY_TOLERANCE,
    )


@pytest.mark.parametrize("instruction", ["Find duplicates", "ends with space ", "", "\n", "指令: 检索"], ids=repr)
def test_an_instruction_goes_where_the_authors_write_it(reranker_folder, instruction):
    assert_close(
        reranker(reranker_folder).score("q", ["a", "b c"], instruction=instruction),
        reference.score(reranker_folder, "q", ["a", "b c"], task=instruction),
        PROBABILITY_TOLERANCE,
    )


def test_order_and_long_neighbours_change_no_probability(shape, checkpoint_folder):
    folder = checkpoint_folder("reranker", shape)
    documents = [*DOCUMENTS, LONG, LONG[:3000]]
    expected = np.concatenate([reference.score(folder, "q", [document]) for document in documents])
    order = random_of("order").sample(range(len(documents)), len(documents))
    ours = reranker(folder).score("q", [documents[i] for i in order])
    assert_close(ours, expected[order], PROBABILITY_TOLERANCE)


def test_a_long_query_equals_the_reference(shape, checkpoint_folder):
    folder = checkpoint_folder("reranker", shape)
    query, documents = LONG[:2500], ["a", LONG[:2500], "b"]
    ours, expected = reranker(folder).score(query, documents), reference.score(folder, query, documents)
    assert_close(ours, expected, PROBABILITY_TOLERANCE)


def test_logits_are_the_difference_that_the_probability_comes_from(reranker_folder):
    engine = reranker(reranker_folder)
    logits, scores = engine.logits("q", ["a", "b"]), engine.score("q", ["a", "b"])
    assert logits.dtype == np.float32
    np.testing.assert_allclose(np.log(scores / (1 - scores)), logits, atol=1e-5)


def test_the_order_of_logits_survives_the_sigmoid_near_one():
    logits = np.array([14.0, 17.0, 17.5, 30.0, -800.0, 800.0], np.float32)
    scores = sigmoid(logits)
    assert (np.argsort(scores) == np.argsort(logits)).all()
    assert np.isfinite(scores).all()


def test_no_documents_give_no_scores(reranker_folder):
    assert reranker(reranker_folder).score("q", []).shape == (0,)


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(max_size=40).filter(lambda text: not any(token in text for token in ADDED)), min_size=2, max_size=6
    ),
    budget=st.integers(1, 100),
)
def test_any_texts_in_any_batch_equal_the_reference(reranker_folder, texts, budget):
    query, *documents = texts
    assert_close(
        reranker(reranker_folder, max_batch_tokens=budget).score(query, documents),
        reference.score(reranker_folder, query, documents),
        PROBABILITY_TOLERANCE,
    )
