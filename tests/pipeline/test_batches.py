"""The two steps of every ingest: they travel between processes, may be repeated, and try again what may pass."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from llama_index.core.schema import MetadataMode, TextNode
from pymilvus.exceptions import MilvusException
from qwen3_rag.config import RagConfig
from qwen3_rag.ingestion import batches as module
from qwen3_rag.ingestion.batches import ATTEMPTS, EmbedBatch, MilvusWriter, passages_batch
from qwen3_rag.store.client import StoreClient
from qwen3_rag.store.connect import client_options
from support.hashing import HashingEmbedding
from tenacity import wait_none

from .conftest import OpenStore, held_ids

NODES = [TextNode(id_=str(i), text=f"text {i}", metadata={"source": "a.md", "n": i}) for i in range(5)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wait_exponential_jitter", lambda **_: wait_none())


def test_both_steps_work_after_a_journey(store_of: OpenStore, config: RagConfig) -> None:
    store = store_of()
    embed = pickle.loads(pickle.dumps(EmbedBatch(HashingEmbedding)))
    writer = pickle.loads(pickle.dumps(MilvusWriter(client_options(config), config.collection, client=store.client)))
    batch = embed(pickle.loads(pickle.dumps(passages_batch(NODES))))
    texts = [node.get_content(MetadataMode.EMBED) for node in NODES]
    assert batch["embedding"] == HashingEmbedding().get_text_embedding_batch(texts)
    assert (writer.upsert(batch), writer.upsert(batch)) == (5, 5)
    assert held_ids(store) == [node.node_id for node in NODES]
    found = store.held(["3"], with_vectors=True)["3"]
    assert (found.get_content(), found.metadata, found.embedding is not None) == ("text 3", NODES[3].metadata, True)


def test_a_row_holds_its_text_once_and_a_model_is_made_once() -> None:
    batch = passages_batch([TextNode(id_="1", text="A word that stands out: marmalade.")])
    assert batch["row"][0].count("marmalade") == 1
    made: list[HashingEmbedding] = []

    def make() -> HashingEmbedding:
        made.append(HashingEmbedding())
        return made[-1]

    embed = EmbedBatch(make)
    assert embed(batch) == embed(batch)
    assert len(made) == 1


def test_of_equal_ids_the_last_one_counts(store_of: OpenStore) -> None:
    store = store_of()
    twice = [TextNode(id_="1", text="old"), TextNode(id_="1", text="new")]
    writer = MilvusWriter({}, store.collection_name, client=store.client)
    assert writer.upsert(EmbedBatch(HashingEmbedding())(passages_batch(twice))) == 1
    assert store.held(["1"])["1"].get_content() == "new"


@pytest.mark.parametrize(
    ("message", "attempts"),
    [("server unavailable: StatusCode.UNAVAILABLE", ATTEMPTS), ("deadline exceeded", ATTEMPTS), ("wrong dimension", 1)],
)
def test_what_may_pass_is_tried_again(
    store_of: OpenStore, monkeypatch: pytest.MonkeyPatch, message: str, attempts: int
) -> None:
    store, tried = store_of(), []

    def failing(*_: Any, **__: Any) -> None:
        tried.append(1)
        raise MilvusException(1, message)

    monkeypatch.setattr(StoreClient, "upsert", failing)
    writer = MilvusWriter({}, store.collection_name, client=store.client)
    with pytest.raises(MilvusException, match=message):
        writer.upsert(EmbedBatch(HashingEmbedding())(passages_batch(NODES)))
    assert len(tried) == attempts


def test_a_write_that_fails_once_is_written(store_of: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store, failures, real = store_of(), [MilvusException(1, "connection lost")], StoreClient.upsert

    def once(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(StoreClient, "upsert", once)
    MilvusWriter({}, store.collection_name, client=store.client).upsert(
        EmbedBatch(HashingEmbedding())(passages_batch(NODES))
    )
    assert len(held_ids(store)) == 5
