"""IngestionPipeline: spawned workers, its cache, asynchronous runs."""

import asyncio

import numpy as np
import pytest
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from support import reference
from support.engines import FLOAT32_ON_CPU, VECTOR_TOLERANCE, assert_close

TEXTS = [f"passage {i} about vectors" for i in range(12)]


def nodes() -> list[TextNode]:
    return [TextNode(text=text, id_=str(i)) for i, text in enumerate(TEXTS)]


def vectors(result) -> np.ndarray:
    return np.array([node.embedding for node in sorted(result, key=lambda node: int(node.node_id))])


@pytest.fixture
def model(embedding_folder):
    return Qwen3Embedding(str(embedding_folder), **FLOAT32_ON_CPU)


def test_spawned_workers_compute_the_same_vectors(model, embedding_folder):
    model.get_text_embedding("loaded, so that weights could travel")
    result = IngestionPipeline(transformations=[model], disable_cache=True).run(nodes=nodes(), num_workers=2)
    assert_close(vectors(result), reference.embed(embedding_folder, TEXTS), VECTOR_TOLERANCE)


def test_an_asynchronous_run_computes_the_same_vectors(model, embedding_folder):
    result = asyncio.run(IngestionPipeline(transformations=[model], disable_cache=True).arun(nodes=nodes()))
    assert_close(vectors(result), reference.embed(embedding_folder, TEXTS), VECTOR_TOLERANCE)


@pytest.mark.parametrize("change", [{"dimensions": 8}, {"revision": "abc"}, {"max_length": 3}], ids=str)
@pytest.mark.filterwarnings("ignore:.*documents were cut")
def test_the_ingestion_cache_never_returns_vectors_of_other_settings(embedding_folder, change):
    cache = IngestionCache()
    for settings in ({}, change, {}):
        model = Qwen3Embedding(str(embedding_folder), **FLOAT32_ON_CPU, **settings)
        cached = vectors(IngestionPipeline(transformations=[model], cache=cache).run(nodes=nodes()))
        np.testing.assert_array_equal(cached, np.array(model.get_text_embedding_batch(TEXTS)))


def test_a_persisted_pipeline_serves_its_cache_without_the_model(model, tmp_path):
    pipeline = IngestionPipeline(transformations=[model])
    first = vectors(pipeline.run(nodes=nodes()))
    pipeline.persist(str(tmp_path / "pipeline"))
    fresh = Qwen3Embedding(model.model_name, **FLOAT32_ON_CPU)
    again = IngestionPipeline(transformations=[fresh])
    again.load(str(tmp_path / "pipeline"))
    np.testing.assert_array_equal(vectors(again.run(nodes=nodes())), first)
    assert fresh._local_engine._model is None, "the cached run loaded the weights"
