"""The collection on a real Milvus server, which Milvus Lite and its server do not stand for: `pytest -m servers`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import UnavailableError
from qwen3_rag.explain import explain
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.query.engine import make_index
from qwen3_rag.store.collection import describe
from qwen3_rag.store.opening import drop_collection, open_store
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import IDENTITY, HashingEmbedding
from support.milvus import MilvusServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    running = MilvusServer(tmp_path_factory.mktemp("milvus"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def config(server: MilvusServer, request: pytest.FixtureRequest) -> Iterator[RagConfig]:
    made = RagConfig(uri=server.uri, collection=f"c{abs(hash(request.node.nodeid)):x}", embed_model="tiny")
    yield made
    drop_collection(made.model_copy(update={"uri": server.uri}))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for i in range(60):
        text = "".join(f"## Section {j}\n\nfile {i} part {j} of many words\n\n" for j in range(10))
        (folder / f"{i}.md").write_text(text)
    return folder


def passages(store: RagVectorStore) -> list[tuple[str, str, str]]:
    fields = ["id", "doc_id", "text"]
    rows = store.client.query(
        store.collection_name, filter="", output_fields=fields, limit=16_384, consistency_level="Strong"
    )
    return sorted((row["id"], row["doc_id"], row["text"]) for row in rows)


def clean(docs: Path, tmp_path: Path) -> list[tuple[str, str, str]]:
    """What an ingest that nothing disturbs makes of the folder."""
    store = open_store(RagConfig(uri=str(tmp_path / "clean.db")), IDENTITY, create=True)
    ingest([docs], store=store, embed_model=HashingEmbedding())
    found = passages(store)
    store.close()
    return found


def test_the_model_is_remembered_over_a_restart(
    server: MilvusServer, config: RagConfig, docs: Path, tmp_path: Path
) -> None:
    identity = replace(IDENTITY, embed=HashingEmbedding().get_text_embedding_batch)
    store = open_store(config, identity, create=True)
    ingest([docs], store=store, embed_model=HashingEmbedding())
    store.client.close()
    server.stop()
    config = config.model_copy(update={"uri": server.start()})
    store = open_store(config, identity)
    found = describe(store.client, config.collection)
    assert found
    assert found.identity == identity.probed()
    assert found.identity.probes
    assert passages(store) == clean(docs, tmp_path)
    assert ingest([docs], store=store, embed_model=HashingEmbedding()).unchanged == 60
    store.client.close()


def test_a_running_client_survives_a_restart(server: MilvusServer, config: RagConfig, docs: Path) -> None:
    store = open_store(config, IDENTITY, create=True)
    ingest([docs], store=store, embed_model=HashingEmbedding())
    retriever = make_index(store, HashingEmbedding()).as_retriever(similarity_top_k=3)
    before = [hit.node_id for hit in retriever.retrieve("file 7 part 3")]
    server.kill()
    server.start()
    assert [hit.node_id for hit in retriever.retrieve("file 7 part 3")] == before
    store.client.close()


def test_an_ingest_whose_server_dies_goes_on_after_it(
    server: MilvusServer, config: RagConfig, docs: Path, tmp_path: Path
) -> None:
    class Killing(HashingEmbedding):
        def get_text_embedding_batch(self, texts, **kwargs):  # type: ignore[no-untyped-def]
            if len(self.embedded) > 300 and server.uri == config.uri:
                server.uri = ""
                server.kill()
            return super().get_text_embedding_batch(texts, **kwargs)

    store = open_store(config, IDENTITY, create=True)
    started = time.monotonic()
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it must be one that is explained
        ingest([docs], store=store, embed_model=Killing())
    told = explain(caught.value)  # type: ignore[arg-type]
    assert isinstance(told, UnavailableError), caught.value
    assert "\n" not in str(told)
    assert time.monotonic() - started < 300
    store.client.close()
    config = config.model_copy(update={"uri": server.start()})
    store = open_store(config, IDENTITY)
    ingest([docs], store=store, embed_model=HashingEmbedding(), prune=True)
    assert passages(store) == clean(docs, tmp_path)
    store.client.close()


def test_two_writers_at_once(config: RagConfig, docs: Path, tmp_path: Path) -> None:
    open_store(config, IDENTITY, create=True).client.close()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            store = open_store(config, IDENTITY)
            ingest([docs], store=store, embed_model=HashingEmbedding())
            store.client.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    store = open_store(config, IDENTITY)
    assert passages(store) == clean(docs, tmp_path)
    store.client.close()


def test_changes_moves_and_prune(config: RagConfig, docs: Path, tmp_path: Path) -> None:
    store = open_store(config, IDENTITY, create=True)
    ingest([docs], store=store, embed_model=HashingEmbedding())
    (docs / "3.md").write_text("A paragraph on top.\n\n" + (docs / "3.md").read_text())
    (docs / "4.md").unlink()
    model = HashingEmbedding()
    report = ingest([docs], store=store, embed_model=model, prune=True)
    assert (model.embedded, report.updated, report.pruned) == (["A paragraph on top."], 10, 1)
    assert passages(store) == clean(docs, tmp_path)
    assert sum(store.count_sources().values()) == store.count() == 591
    store.client.close()


def test_the_command_line_says_one_line_when_the_server_is_gone(server: MilvusServer, docs: Path) -> None:
    script = str(Path(sys.executable).with_name("qwen3-rag"))
    command = [script, "search", "x", "--uri", "http://127.0.0.1:9", "--embed-model", "tiny"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
