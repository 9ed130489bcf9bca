"""Vectors equal the authors' computation, whatever the batch, the order, the neighbours and the prompt."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qwen3_inference import DEFAULT_INSTRUCTION
from sentence_transformers import SentenceTransformer
from support import reference
from support.checkpoints import SHAPES
from support.engines import VECTOR_TOLERANCE, assert_close, embedder
from support.seeds import examples, random_of
from support.texts import ADDED, EDGE_CASES, random_texts

LONG = " ".join(f"word{i} vector database" for i in range(260))  # about 3000 tokens of the small tokenizer
DOCUMENTS = ["hello world", *EDGE_CASES, "milvus stores vectors " * 40, *random_texts(12, seed=3), "same", "same"]


def test_documents_equal_the_reference_for_every_shape(shape, checkpoint_folder):
    folder = checkpoint_folder("embedding", shape)
    assert_close(embedder(folder).embed_documents(DOCUMENTS), reference.embed(folder, DOCUMENTS), VECTOR_TOLERANCE)


def test_queries_equal_the_reference_for_every_shape(shape, checkpoint_folder):
    folder = checkpoint_folder("embedding", shape)
    assert_close(
        embedder(folder).embed_queries(DOCUMENTS), reference.embed_queries(folder, DOCUMENTS), VECTOR_TOLERANCE
    )


@pytest.mark.parametrize("max_batch_tokens", [1, 40, 1000])
def test_the_token_budget_changes_no_vector(shape, checkpoint_folder, max_batch_tokens):
    folder = checkpoint_folder("embedding", shape)
    engine = embedder(folder, max_batch_tokens=max_batch_tokens)
    assert_close(engine.embed_documents(DOCUMENTS), reference.embed(folder, DOCUMENTS), VECTOR_TOLERANCE)
    assert_close(engine.embed_queries(DOCUMENTS), reference.embed_queries(folder, DOCUMENTS), VECTOR_TOLERANCE)


def test_the_order_of_the_texts_is_kept_and_changes_no_vector(shape, checkpoint_folder):
    folder = checkpoint_folder("embedding", shape)
    order = random_of("order").sample(range(len(DOCUMENTS)), len(DOCUMENTS))
    shuffled = embedder(folder, max_batch_tokens=64).embed_documents([DOCUMENTS[i] for i in order])
    assert_close(shuffled, reference.embed(folder, DOCUMENTS)[order], VECTOR_TOLERANCE)


def test_a_long_neighbour_changes_no_vector(shape, checkpoint_folder):
    """Against each text alone: padding to a length of thousands moves the padded reference itself by 6e-6, since the
    padding shifts positions and the rotary angles of large positions are rounded."""
    folder = checkpoint_folder("embedding", shape)
    engine, texts = embedder(folder), ["short", LONG, "", LONG[:4000], "short"]
    documents = np.concatenate([reference.embed(folder, [text]) for text in texts])
    assert_close(engine.embed_documents(texts), documents, VECTOR_TOLERANCE)
    queries = np.concatenate([reference.embed_queries(folder, [text]) for text in texts[1:]])
    assert_close(engine.embed_queries(texts[1:]), queries, VECTOR_TOLERANCE)


@pytest.mark.parametrize("instruction", ["Find the definition", "Finde die Antwort: ", "指令", "x" * 300])
def test_an_instruction_goes_before_queries_as_the_authors_write_it(embedding_folder, instruction):
    queries = ["What is MRL?", "", " leading", ":(", "\n\n", "?"]
    vectors = embedder(embedding_folder).embed_queries(queries, instruction=instruction)
    assert_close(vectors, reference.embed_queries(embedding_folder, queries, instruction), VECTOR_TOLERANCE)


def test_an_empty_instruction_embeds_the_query_bare(embedding_folder):
    vectors = embedder(embedding_folder).embed_queries(["What is MRL?", ""], instruction="")
    assert_close(vectors, reference.embed(embedding_folder, ["What is MRL?", ""]), VECTOR_TOLERANCE)


def test_queries_and_documents_get_different_vectors(embedding_folder):
    engine = embedder(embedding_folder)
    assert abs(engine.embed_queries(["Paris"]) - engine.embed_documents(["Paris"])).max() > 0.01


def test_a_kept_instruction_prefix_is_the_same_as_a_new_one(embedding_folder):
    engine = embedder(embedding_folder)
    first = engine.embed_queries(["a"], instruction="task 0")
    for i in range(20):  # more than are kept
        engine.embed_queries(["a"], instruction=f"task {i}")
    np.testing.assert_array_equal(first, engine.embed_queries(["a"], instruction="task 0"))


@pytest.mark.parametrize("prompt", ["query", "document"])
def test_vectors_equal_those_of_sentence_transformers(checkpoint_folder, prompt):
    folder = checkpoint_folder("embedding", SHAPES[0])
    stock = SentenceTransformer(str(folder), device="cpu").encode(DOCUMENTS, prompt_name=prompt, batch_size=7)
    engine = embedder(folder)
    ours = engine.embed_queries(DOCUMENTS) if prompt == "query" else engine.embed_documents(DOCUMENTS)
    assert_close(ours, stock, VECTOR_TOLERANCE)


@pytest.mark.parametrize("dimensions", [1, 7, 32])
def test_fewer_dimensions_are_cut_first_and_normalised_again(embedding_folder, dimensions):
    full = reference.embed(embedding_folder, DOCUMENTS).astype(np.float64)
    cut = full[:, :dimensions] / np.linalg.norm(full[:, :dimensions], axis=1, keepdims=True)
    ours = embedder(embedding_folder).embed_documents(DOCUMENTS, dimensions=dimensions)
    # Renormalising enlarges the difference of the full vectors by the inverse of the kept length.
    assert_close(ours, cut, VECTOR_TOLERANCE / np.linalg.norm(full[:, :dimensions], axis=1).min())


def test_vectors_are_float32_of_unit_length(embedding_folder):
    vectors = embedder(embedding_folder).embed_documents(DOCUMENTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_vectors(embedding_folder):
    assert embedder(embedding_folder).embed_documents([]).shape == (0, SHAPES[0].hidden)
    assert embedder(embedding_folder).embed_queries([], dimensions=8).shape == (0, 8)


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(max_size=40).filter(lambda text: not any(token in text for token in ADDED)), max_size=6),
    budget=st.integers(1, 100),
)
def test_any_texts_in_any_batch_equal_the_reference(embedding_folder, texts, budget):
    engine = embedder(embedding_folder, max_batch_tokens=budget)
    if texts:
        assert_close(engine.embed_documents(texts), reference.embed(embedding_folder, texts), VECTOR_TOLERANCE)
        assert_close(engine.embed_queries(texts), reference.embed_queries(embedding_folder, texts), VECTOR_TOLERANCE)


def test_the_default_instruction_is_the_authors(embedding_folder):
    assert DEFAULT_INSTRUCTION == "Given a web search query, retrieve relevant passages that answer the query"
