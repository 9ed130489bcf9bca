"""Both kinds of database behind one fixture, real small checkpoints, and a configuration isolated from the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymilvus.client import grpc_handler
from qwen3_rag.config import RagConfig
from qwen3_rag.store.connect import release_lite
from qwen3_rag.store.opening import open_store
from qwen3_rag.store.vector_store import RagVectorStore
from support.checkpoints import make_checkpoint
from support.hashing import IDENTITY, HashingEmbedding

SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings from outside, and an empty folder to work in."""
    for name in list(os.environ):
        if name.startswith(("QWEN3_RAG_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture(scope="session", autouse=True)
def _quick_polls() -> Iterator[None]:
    """pymilvus waits half a second before it asks whether an index is made; here it is at once, many hundred times."""
    hurried = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(min(seconds, 0.01))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpc_handler, "time", hurried)
        yield


@pytest.fixture(params=["lite", "server"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URI of a database: Milvus Lite in this process, then a gRPC server."""
    if request.param == "server":
        yield request.getfixturevalue("milvus_server")
        return
    uri = str(tmp_path / "lite.db")
    yield uri
    release_lite(uri)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[str]:
    """URI of a Milvus Lite database that is not there yet."""
    uri = str(tmp_path / "lite.db")
    yield uri
    release_lite(uri)


@pytest.fixture
def config(backend: str, request: pytest.FixtureRequest) -> RagConfig:
    """Configuration with a collection of its own in either database."""
    return RagConfig(uri=backend, collection=f"c{abs(hash(request.node.nodeid)):x}", embed_model="tiny")


@pytest.fixture
def embed_model() -> HashingEmbedding:
    return HashingEmbedding()


OpenStore = Callable[..., RagVectorStore]


@pytest.fixture
def store_of(config: RagConfig) -> Iterator[OpenStore]:
    """Opens the configured collection, made when missing; closes it in the end."""
    opened: list[RagVectorStore] = []

    def open_(**changes: Any) -> RagVectorStore:
        create = changes.pop("create", True)
        store = open_store(config.model_copy(update=changes), IDENTITY, create=create)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.client.close()


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `embedding` and `reranker`, real Qwen3 checkpoints with random weights."""
    folder = tmp_path_factory.mktemp("pair")
    for kind in ("embedding", "reranker"):
        make_checkpoint(folder / kind, kind)
    return folder


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def held_ids(store: RagVectorStore) -> list[str]:
    """Every id in the collection, as often as it is there."""
    rows = store.client.query(store.collection_name, filter="", output_fields=["id"], limit=16_384)
    return sorted(row["id"] for row in rows)
