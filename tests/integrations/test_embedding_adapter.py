"""What Qwen3Embedding adds to the engine: validation, instructions, events, serialisation."""

import asyncio
import logging
import pickle
import threading

import numpy as np
import pytest
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.schema import TextNode
from llama_index.embeddings.qwen3 import DocumentText, Qwen3Embedding, use_instruction
from qwen3_conformance.recording import recording
from qwen3_inference import EngineNotPicklableError, NumericalError
from support import reference
from support.engines import FLOAT32_ON_CPU, VECTOR_TOLERANCE, assert_close, embedder


@pytest.fixture
def model(embedding_folder):
    return Qwen3Embedding(str(embedding_folder), **FLOAT32_ON_CPU)


def test_queries_get_the_prompt_and_documents_none(model, embedding_folder):
    queries = [model.get_query_embedding(text) for text in ("Paris", "")]
    assert_close(np.array(queries), reference.embed_queries(embedding_folder, ["Paris", ""]), VECTOR_TOLERANCE)
    documents = model.get_text_embedding_batch(["Paris", ""])
    assert_close(np.array(documents), reference.embed(embedding_folder, ["Paris", ""]), VECTOR_TOLERANCE)


def test_an_own_instruction_is_used_for_queries_only(model, embedding_folder):
    other = Qwen3Embedding(str(embedding_folder), query_instruction="Find a capital", **FLOAT32_ON_CPU)
    expected = reference.embed_queries(embedding_folder, ["Paris"], "Find a capital")
    assert_close(np.array([other.get_query_embedding("Paris")]), expected, VECTOR_TOLERANCE)
    assert other.get_text_embedding("Paris") == model.get_text_embedding("Paris")


def test_a_copy_with_another_instruction_shares_the_loaded_weights(model, embedding_folder):
    model.get_query_embedding("load")
    copy = model.model_copy(update={"query_instruction": "Find a capital"})
    expected = reference.embed_queries(embedding_folder, ["Paris"], "Find a capital")
    assert_close(np.array([copy.get_query_embedding("Paris")]), expected, VECTOR_TOLERANCE)
    assert copy._local_engine is model._local_engine


def test_an_instruction_for_one_call_overrides_the_own_one(model, embedding_folder):
    with use_instruction("Find a capital"):
        inside = model.get_query_embedding("Paris")
        text_inside = model.get_text_embedding("Paris")
    expected = reference.embed_queries(embedding_folder, ["Paris"], "Find a capital")
    assert_close(np.array([inside]), expected, VECTOR_TOLERANCE)
    assert text_inside == model.get_text_embedding("Paris")
    assert model.get_query_embedding("Paris") != inside


async def test_concurrent_calls_each_use_their_own_instruction(model, embedding_folder):
    async def ask(task: str) -> list[float]:
        with use_instruction(task):
            await asyncio.sleep(0)
            return await model.aget_query_embedding("Paris")

    tasks = [f"task {i}" for i in range(12)]
    vectors = await asyncio.gather(*map(ask, tasks))
    for task, vector in zip(tasks, vectors, strict=True):
        assert_close(np.array([vector]), reference.embed_queries(embedding_folder, ["Paris"], task), VECTOR_TOLERANCE)


def test_threads_each_use_their_own_instruction(model, embedding_folder):
    vectors = {}

    def ask(task: str) -> None:
        with use_instruction(task):
            vectors[task] = model.get_query_embedding("Paris")

    threads = [threading.Thread(target=ask, args=(f"task {i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for task, vector in vectors.items():
        assert_close(np.array([vector]), reference.embed_queries(embedding_folder, ["Paris"], task), VECTOR_TOLERANCE)
    assert len(vectors) == 6


async def test_a_document_text_is_embedded_bare_where_a_query_is_asked_for(model):
    document = model.get_text_embedding("generated")
    assert model.get_query_embedding(DocumentText("generated")) == document
    assert await model.aget_query_embedding(DocumentText("generated")) == document


async def test_an_aggregate_is_the_normalised_mean_of_queries_and_documents(model):
    texts = ["a question", DocumentText("a generated answer")]
    vectors = np.array([model.get_query_embedding(text) for text in texts])
    expected = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    np.testing.assert_allclose(model.get_agg_embedding_from_queries(texts), expected, atol=1e-6)
    np.testing.assert_allclose(await model.aget_agg_embedding_from_queries(texts), expected, atol=1e-6)
    assert model.get_agg_embedding_from_queries(texts, agg_fn=lambda found: found[1]) == vectors[1].tolist()


def test_a_call_reports_one_pair_of_events_with_texts_and_vectors_and_nothing_else(model):
    with recording(model, CBEventType.EMBEDDING) as record:
        vectors = model.get_text_embedding_batch(["a", "b", "c"])
    [start], [end] = record.of(EmbeddingStartEvent), record.of(EmbeddingEndEvent)
    assert set(start.model_dict) == {"class_name", "model_name", "embed_batch_size"}
    assert (end.chunks, end.embeddings) == (["a", "b", "c"], vectors)
    assert record.ended[0][1] == {EventPayload.CHUNKS: ["a", "b", "c"], EventPayload.EMBEDDINGS: vectors}


def test_a_failing_call_really_fails_and_still_ends_its_events(model):
    with recording(model, CBEventType.EMBEDDING) as record, pytest.raises(ValueError, match="lone surrogate"):
        model.get_text_embedding("\ud800")
    assert (len(record.of(EmbeddingStartEvent)), len(record.of(EmbeddingEndEvent))) == (1, 1)
    assert set(record.ended[0][1]) == {EventPayload.EXCEPTION}


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", ["text"]])
def test_a_text_of_a_wrong_type_is_refused_before_any_event(model, wrong):
    for call in (
        model.get_text_embedding,
        model.get_query_embedding,
        lambda text: model.get_text_embedding_batch([text]),
    ):
        with recording(model, CBEventType.EMBEDDING) as record, pytest.raises(ValueError, match="not a string"):
            call(wrong)
        assert not record.of(EmbeddingStartEvent)
        assert not record.started


def test_embed_batch_size_is_how_many_texts_an_event_holds(embedding_folder):
    model = Qwen3Embedding(str(embedding_folder), embed_batch_size=2, **FLOAT32_ON_CPU)
    with recording(model, CBEventType.EMBEDDING) as record:
        model.get_text_embedding_batch(["a", "b", "c", "d", "e"])
    assert [event.chunks for event in record.of(EmbeddingEndEvent)] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_progress_bar_counts_texts(model, capsys):
    model.get_text_embedding_batch(["a", "b", "c"], show_progress=True)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dimensions": 0}, "dimensions=0 must be an integer from 1 to 32"),
        ({"dimensions": 33}, "dimensions=33 must be an integer from 1 to 32"),
        ({"max_length": 0}, "max_length=0 must be an integer of at least 1"),
        ({"max_batch_tokens": 0}, "max_batch_tokens=0 must be"),
        ({"dtype": "int8"}, "dtype='int8' must be one of"),
        ({"query_instruction": "Instruct: x\nQuery:"}, "pass the task alone"),
        ({"engine": object()}, "must have the methods of qwen3_inference.EmbeddingEngine"),
        ({"embeddings_cache": {}}, "must be a LlamaIndex BaseKVStore"),
        ({"embed_batch_size": 0}, "embed_batch_size"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,  # no object's address: workers must agree
)
def test_an_invalid_setting_is_refused_by_the_constructor(embedding_folder, settings, message):
    with pytest.raises(ValueError, match=message):
        Qwen3Embedding(str(embedding_folder), **settings)


@pytest.mark.parametrize(("dimensions", "valid"), [(32, True), (1024, True), (31, False), (1025, False)])
def test_dimensions_of_an_official_model_are_checked_without_loading_it(dimensions, valid):
    if valid:
        assert Qwen3Embedding(dimensions=dimensions).dimensions == dimensions
        return
    with pytest.raises(ValueError, match=rf"dimensions={dimensions} must be an integer from 32 to 1024"):
        Qwen3Embedding(dimensions=dimensions)


def test_a_misspelt_setting_is_a_type_error():
    with pytest.raises(TypeError, match="instructions"):
        Qwen3Embedding(instructions="x")


def test_a_setting_changed_later_is_validated_and_used(model):
    model.get_text_embedding("a")
    model.dimensions = 8
    assert len(model.get_text_embedding("a")) == 8
    model.dimensions = 64
    with pytest.raises(ValueError, match="dimensions=64 must be an integer from 1 to 32"):
        model.get_text_embedding("a")


CHANGES = {"dimensions": 8, "query_instruction": "x", "revision": "abc", "dtype": "bfloat16", "max_length": 99}


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_that_changes_a_vector_changes_the_ingestion_cache_key(embedding_folder, setting):
    nodes = [TextNode(text="a", id_="1")]
    plain = Qwen3Embedding(str(embedding_folder))
    changed = Qwen3Embedding(str(embedding_folder), **{setting: CHANGES[setting]})
    assert get_transformation_hash(nodes, plain) != get_transformation_hash(nodes, changed)
    assert get_transformation_hash(nodes, plain) == get_transformation_hash(
        nodes, Qwen3Embedding(str(embedding_folder))
    )


def test_a_pickle_of_a_loaded_model_is_small_and_works(model):
    before = model.get_text_embedding("a")
    data = pickle.dumps(model)
    assert len(data) < 5000
    assert pickle.loads(data).get_text_embedding("a") == before


def test_nothing_is_dropped_silently_when_pickling(model, caplog):
    model.get_text_embedding("a")
    with caplog.at_level(logging.WARNING):
        pickle.dumps(model)
    assert "unpickleable" not in caplog.text


class LockedEngine:
    """A sound engine that cannot be pickled."""

    def __init__(self, engine):
        self.engine, self.lock = engine, threading.Lock()

    def __getattr__(self, name):
        if name in ("engine", "lock") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.engine, name)


def test_an_injected_engine_is_used(embedding_folder, model):
    injected = Qwen3Embedding(engine=embedder(embedding_folder), dimensions=8)
    assert len(injected.get_query_embedding("a")) == 8
    assert injected.model_name == str(embedding_folder)
    assert pickle.loads(pickle.dumps(injected)).get_query_embedding("a") == injected.get_query_embedding("a")


def test_an_injected_engine_that_does_not_pickle_says_so(embedding_folder):
    injected = Qwen3Embedding(engine=LockedEngine(embedder(embedding_folder)))
    injected.get_query_embedding("a")
    assert [found.index for found in injected.overlong([TextNode(text="tea " * 9_000)])] == [0], (
        "by __getattr__ as well"
    )
    with pytest.raises(EngineNotPicklableError, match="built with engine=LockedEngine, which cannot be pickled"):
        pickle.dumps(injected)


def test_not_finite_vectors_are_an_error_and_never_returned(embedding_folder):
    engine = embedder(embedding_folder)
    engine.load()
    engine._model.decoder.embedding[:] = float("nan")
    with pytest.raises(NumericalError):
        Qwen3Embedding(engine=engine).get_text_embedding("a")
