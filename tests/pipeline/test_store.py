"""The collection: made, recognised, refused; from scripts, loops and threads; on Lite and on a server."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from pymilvus import DataType, MilvusClient
from pymilvus.client.types import ConsistencyLevel
from qwen3_rag.config import RagConfig
from qwen3_rag.documents.readers import make_document
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.pipeline import ingest_documents
from qwen3_rag.query.engine import make_index, make_retriever
from qwen3_rag.query.filters import parse_filters
from qwen3_rag.store.collection import PROPERTY
from qwen3_rag.store.opening import drop_collection, open_store
from support.hashing import IDENTITY, HashingEmbedding

from .conftest import OpenStore

TEXTS = {
    "cats": "Cats purr and sleep.",
    "dogs": "Dogs bark at the postman.",
    "tea": "Green tea is steeped at 80 degrees.",
}


def fill(store: object, embed_model: HashingEmbedding, texts: dict[str, str] = TEXTS) -> None:
    documents = [make_document(text, name, "text") for name, text in texts.items()]
    ingest_documents(documents, store=store, embed_model=embed_model)  # type: ignore[arg-type]


def test_a_collection_is_found_again(store_of: OpenStore, embed_model: HashingEmbedding, config: RagConfig) -> None:
    fill(store_of(), embed_model)
    again = store_of(create=False)
    assert again.count() == 3
    hits = make_retriever(config, again, embed_model).retrieve("green tea")
    assert hits[0].node.get_content() == TEXTS["tea"]
    assert hits[0].node.metadata["source"] == "tea"


def test_a_released_collection_is_loaded(store_of: OpenStore, embed_model: HashingEmbedding, config: RagConfig) -> None:
    store = store_of()
    fill(store, embed_model)
    store.client.release_collection(config.collection)
    assert make_retriever(config, store_of(create=False), embed_model).retrieve("cats")


def test_settings_of_a_new_collection(store_of: OpenStore, config: RagConfig) -> None:
    store = store_of()
    found = store.client.describe_collection(config.collection)
    assert found["consistency_level"] == ConsistencyLevel.Value("Strong")
    assert json.loads(found["properties"][PROPERTY]) == {
        "name": "hashing",
        "revision": "1",
        "dimension": 64,
        "probes": "",
    }
    assert store.client.describe_index(config.collection, "embedding")["metric_type"] == "IP"


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (dataclasses.replace(IDENTITY, name="other"), ["hashing", "other", "--overwrite", "--collection"]),
        (dataclasses.replace(IDENTITY, revision="2"), ["revision 1", "revision 2", "--overwrite"]),
        (dataclasses.replace(IDENTITY, dimension=32), ["64", "32", "--dimensions 64", "--overwrite"]),
    ],
)
def test_another_model_is_refused_with_both_sides(
    store_of: OpenStore, config: RagConfig, identity: object, said: list[str]
) -> None:
    store_of()
    for create in (True, False):
        with pytest.raises(ConfigError) as caught:
            open_store(config, identity, create=create)  # type: ignore[arg-type]
        assert [word for word in said if word not in str(caught.value)] == []


def test_a_foreign_collection_is_refused_and_left_alone(config: RagConfig, store_of: OpenStore) -> None:
    other = store_of(collection=f"{config.collection}_x")  # keeps Milvus Lite open
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=64)
    other.client.create_collection(config.collection, schema=schema)
    with pytest.raises(ConfigError, match="lacks id, doc_id, text"):
        open_store(config, IDENTITY, create=True)
    assert other.client.has_collection(config.collection)


def test_rows_without_a_recorded_model_are_refused(
    config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding
) -> None:
    store = store_of()
    fill(store, embed_model)
    store.client.drop_collection_properties(config.collection, [PROPERTY])
    with pytest.raises(ConfigError, match="does not say which model"):
        open_store(config, IDENTITY, create=True)
    assert store.count() == 3


def test_another_metric_is_refused(config: RagConfig, store_of: OpenStore) -> None:
    store = store_of()
    store.client.release_collection(config.collection)
    store.client.drop_index(config.collection, "embedding")
    index = store.client.prepare_index_params()
    index.add_index("embedding", index_type="FLAT", metric_type="L2")
    store.client.create_index(config.collection, index)
    with pytest.raises(ConfigError, match="indexed by L2, this pipeline searches by IP"):
        open_store(config, IDENTITY)


def test_hybrid_needs_its_field(config: RagConfig, store_of: OpenStore) -> None:
    store_of()
    with pytest.raises(ConfigError, match="--hybrid --overwrite"):
        open_store(config.model_copy(update={"mode": "hybrid"}), IDENTITY)


def test_reading_creates_nothing(tmp_path: Path) -> None:
    config = RagConfig(uri=str(tmp_path / "none.db"))
    with pytest.raises(UnavailableError, match="qwen3-rag ingest"):
        open_store(config, IDENTITY)
    with pytest.raises(UnavailableError):
        drop_collection(config)
    assert not (tmp_path / "none.db").exists()


def test_a_missing_collection_lists_what_is_there(config: RagConfig, store_of: OpenStore) -> None:
    store_of()
    with pytest.raises(UnavailableError, match=config.collection):
        open_store(config.model_copy(update={"collection": "nope"}), IDENTITY)


def test_overwrite_starts_empty(config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    fill(store_of(), embed_model)
    other = dataclasses.replace(IDENTITY, name="other", dimension=32)
    store = open_store(config, other, overwrite=True)
    assert store.count() == 0
    store.client.close()


def test_a_dead_server_is_reported_at_once() -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        open_store(RagConfig(uri="http://127.0.0.1:9"), IDENTITY)


def test_a_held_lock_is_explained(tmp_path: Path) -> None:
    uri = str(tmp_path / "a.db")
    code = "import sys, milvus_lite as m; db = m.MilvusLite(sys.argv[1]); print('ready', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    try:
        holder.stdout.readline()
        with pytest.raises(UnavailableError, match=r"in use by another process.*milvus-lite server"):
            open_store(RagConfig(uri=uri), IDENTITY, create=True)
    finally:
        holder.communicate(b"\n")
    open_store(RagConfig(uri=uri), IDENTITY, create=True).close()
    opener = subprocess.run([sys.executable, "-c", code, uri], input=b"\n", capture_output=True, check=False)
    assert opener.returncode == 0, "close() lets go of the lock"


def test_a_file_in_the_databases_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.db").write_bytes(b"SQLite")
    with pytest.raises(ConfigError, match="Lite 2"):
        open_store(RagConfig(uri=str(tmp_path / "old.db")), IDENTITY, create=True)


def test_several_event_loops_and_threads(config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    store = store_of()
    fill(store, embed_model)
    retriever = make_retriever(config, store, embed_model)

    async def ask() -> str:
        hits = await asyncio.gather(*(retriever.aretrieve("green tea") for _ in range(4)))
        assert retriever.retrieve("green tea"), "a sync call inside a running loop"
        return str(hits[0][0].node.get_content())

    assert [asyncio.run(ask()) for _ in range(3)] == [TEXTS["tea"]] * 3
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: retriever.retrieve("cats")[0].node.get_content(), range(32)))
    assert set(found) == {TEXTS["cats"]}
    assert asyncio.run(ask()) == TEXTS["tea"]


def test_fusion_inside_a_running_loop_poisons_nothing(
    config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding
) -> None:
    store = store_of()
    fill(store, embed_model)
    retriever = make_retriever(config, store, embed_model)
    fusion = QueryFusionRetriever([retriever, retriever], llm=MockLLM(), num_queries=1, use_async=True)

    async def inside() -> None:
        assert fusion.retrieve("dogs")
        assert await retriever.aretrieve("dogs")

    for _ in range(2):
        asyncio.run(inside())
    assert fusion.retrieve("dogs")


def test_async_writes_and_reads(config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    store = store_of()
    index = make_index(store, embed_model)

    async def work() -> int:
        node = TextNode(text="Owls hunt at night.", id_="owl", embedding=embed_model.get_text_embedding("owls"))
        await store.async_add([node])
        assert [found.node_id for found in await store.aget_nodes(["owl"])] == ["owl"]
        count = len(await index.as_retriever().aretrieve("owls"))
        await store.adelete_nodes(["owl"])
        return count

    assert asyncio.run(work()) == 1
    assert store.count() == 0


def test_filters_hold_for_odd_values(config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    odd = {name: f"cats number {number}" for number, name in enumerate(["it's.md", "a\\b.md", 'say "x".md', "日本.md"])}
    store = store_of()
    fill(store, embed_model, odd)
    for name, text in odd.items():
        hits = make_retriever(config, store, embed_model, parse_filters([f"source={name}"])).retrieve("cats")
        assert [hit.node.get_content() for hit in hits] == [text]


@pytest.mark.parametrize("pair", ["source", "=x", "a b=c", "x=", "1a=b"])
def test_a_filter_that_does_not_parse_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_filters([pair])


def test_mmr_gets_the_vectors_it_needs(config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    store = store_of()
    fill(store, embed_model)
    query = VectorStoreQuery(
        query_embedding=embed_model.get_query_embedding("tea"), similarity_top_k=2, mode=VectorStoreQueryMode.MMR
    )
    assert len(store.query(query).ids or []) == 2
