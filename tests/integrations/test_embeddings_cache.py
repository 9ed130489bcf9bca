"""The embedding cache knows everything that changes a vector; any key-value store serves."""

import asyncio

import numpy as np
import pytest
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.embeddings.qwen3 import DocumentText, Qwen3Embedding, use_instruction
from qwen3_inference import TorchEmbeddingEngine
from support.engines import FLOAT32_ON_CPU, embedder
from support.variants import copy, in_place_of


class Counting(TorchEmbeddingEngine):
    """Notes what was really computed."""

    def __init__(self, settings):
        super().__init__(settings)
        self.computed: list[str] = []

    def _queries(self, queries, *rest):
        self.computed += [f"query {text}" for text in queries]
        return super()._queries(queries, *rest)

    def _documents(self, documents, *rest):
        self.computed += [f"document {text}" for text in documents]
        return super()._documents(documents, *rest)


@pytest.fixture
def engine(embedding_folder):
    return Counting(embedder(embedding_folder).settings)


@pytest.fixture
def store():
    return SimpleKVStore()


def test_a_vector_is_computed_once_for_each_role(engine, store):
    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    for _ in range(2):
        assert model.get_text_embedding("Paris") != model.get_query_embedding("Paris")
    assert engine.computed == ["document Paris", "query Paris"]


def test_sync_and_async_calls_share_entries(engine, store):
    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    first = model.get_text_embedding_batch(["a", "b"])
    assert asyncio.run(model.aget_text_embedding_batch(["b", "a", "c"]))[:2] == first[::-1]
    assert asyncio.run(model.aget_query_embedding("q")) == model.get_query_embedding("q")
    assert engine.computed == ["document a", "document b", "document c", "query q"]


def test_a_text_twice_in_a_batch_is_computed_once(engine, store):
    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    a, b, again = model.get_text_embedding_batch(["a", "b", "a"])
    assert a == again != b
    assert engine.computed == ["document a", "document b"]


@pytest.mark.parametrize(
    "change",
    [{"dimensions": 8}, {"query_instruction": "x"}, {"revision": "abc"}, {"model_name": "other"}],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_change_a_vector_have_entries_of_their_own(engine, store, change):
    for settings in ({}, change):
        model = Qwen3Embedding(engine=engine, embeddings_cache=store, **settings)
        uncached = Qwen3Embedding(engine=embedder(engine.settings.model), **settings)
        assert model.get_query_embedding("Paris") == uncached.get_query_embedding("Paris")
    assert engine.computed == ["query Paris", "query Paris"]


def test_an_instruction_for_one_call_has_entries_of_its_own(engine, store):
    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    with use_instruction("x"):
        first = model.get_query_embedding("Paris")
    assert first != model.get_query_embedding("Paris")
    with use_instruction("x"):
        assert first == model.get_query_embedding("Paris")
        model.get_text_embedding("Paris")
    model.get_text_embedding("Paris")  # documents have no instruction: the same entry inside and outside
    assert engine.computed == ["query Paris", "query Paris", "document Paris"]


def test_the_default_instruction_spelt_out_is_the_default(engine, store):
    from qwen3_inference import DEFAULT_INSTRUCTION

    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    spelt = Qwen3Embedding(engine=engine, embeddings_cache=store, query_instruction=DEFAULT_INSTRUCTION)
    assert model.get_query_embedding("Paris") == spelt.get_query_embedding("Paris")


def test_a_generated_document_shares_the_documents_entry(engine, store):
    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    assert model.get_query_embedding(DocumentText("Paris")) == model.get_text_embedding("Paris")
    assert engine.computed == ["document Paris"]


def test_a_persisted_cache_serves_another_process_life(engine, store, tmp_path):
    first = Qwen3Embedding(engine=engine, embeddings_cache=store).get_text_embedding("Paris")
    store.persist(str(tmp_path / "cache.json"))
    again = SimpleKVStore.from_persist_path(str(tmp_path / "cache.json"))
    assert Qwen3Embedding(engine=engine, embeddings_cache=again).get_text_embedding("Paris") == first
    assert engine.computed == ["document Paris"]


def test_a_changed_result_does_not_change_the_cache(engine, store):
    model = Qwen3Embedding(engine=engine, embeddings_cache=store)
    first = list(model.get_text_embedding("Paris"))
    model.get_text_embedding("Paris").clear()
    assert model.get_text_embedding("Paris") == first


def test_the_cache_is_not_part_of_the_settings(embedding_folder, store):
    model = Qwen3Embedding(str(embedding_folder), embeddings_cache=store, **FLOAT32_ON_CPU)
    assert "embeddings_cache" not in model.to_dict()


def test_a_document_prompt_has_entries_of_its_own(engine, store):
    plain = Qwen3Embedding(engine=engine, embeddings_cache=store).get_text_embedding("Paris")
    prompted = Qwen3Embedding(engine=engine, embeddings_cache=store, text_instruction="Place: ")
    assert prompted.get_text_embedding("Paris") != plain
    assert prompted.get_query_embedding(DocumentText("Paris")) == prompted.get_text_embedding("Paris")
    assert engine.computed == ["document Paris", "document Paris"]


def test_other_files_in_the_same_folder_have_entries_of_their_own(checkpoint_folder, tmp_path, store):
    folder = copy(checkpoint_folder("embedding"), tmp_path / "model")
    first = Qwen3Embedding(str(folder), embeddings_cache=store, **FLOAT32_ON_CPU).get_text_embedding("Paris")
    in_place_of("norm", lambda norm: norm.flip(0))(folder)
    assert Qwen3Embedding(str(folder), embeddings_cache=store, **FLOAT32_ON_CPU).get_text_embedding("Paris") != first


class Anonymous:
    """An engine that does not say whose vectors it gives."""

    def __init__(self, value: float) -> None:
        self.value = value

    def embed_documents(self, documents, *, dimensions=None, progress=None):
        return np.full((len(documents), 2), self.value, np.float32)

    embed_queries = aembed_queries = aembed_documents = embed_documents


def test_an_engine_that_does_not_say_who_it_is_is_not_cached(store):
    with pytest.raises(ValueError, match="Anonymous does not: give it an attribute `identity`"):
        Qwen3Embedding(engine=Anonymous(1), embeddings_cache=store)
    model = Qwen3Embedding(engine=Anonymous(1))
    with pytest.raises(ValueError, match="Anonymous does not"):
        model.embeddings_cache = store


def test_two_engines_without_a_name_do_not_share_llama_indexs_cache():
    cache, results = IngestionCache(), []
    for value in (1.0, 2.0):
        pipeline = IngestionPipeline(transformations=[Qwen3Embedding(engine=Anonymous(value))], cache=cache)
        results.append(pipeline.run(nodes=[TextNode(text="a", id_="1")])[0].embedding)
    assert results == [[1.0, 1.0], [2.0, 2.0]]
