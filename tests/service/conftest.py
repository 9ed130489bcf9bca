"""The bundled pair over one collection with documents of two teams, and services over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import qwen3_rag
from llama_index.core.llms import LLM
from qwen3_rag.config import RagConfig
from qwen3_rag.models import Models, load_models
from qwen3_rag.query.llm_client import CompatibleOpenAI
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.session import Session
from qwen3_rag.store.connect import release_lite
from qwen3_rag.store.opening import open_store
from qwen3_rag.store.vector_store import RagVectorStore
from support.openai_server import OpenAIServer
from support.service import Running, running

KNOWLEDGE = Path(qwen3_rag.__file__).parent / "knowledge"
SETTINGS: dict[str, Any] = {"embed_model": "tiny", "device": "cpu", "dtype": "float32"}
Serving = Callable[..., Running]


def llm_of(server: OpenAIServer) -> CompatibleOpenAI:
    """As the service makes its own: LlamaIndex's class would leave its asynchronous connections open."""
    return CompatibleOpenAI("gpt-4o-mini", api_base=server.url, api_key="none", reuse_client=False, max_retries=0)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings and no services from outside, and an empty folder to work in."""
    for name in list(os.environ):
        if name.startswith(("QWEN3_RAG_", "OPENAI_")):
            monkeypatch.delenv(name)
    for name in ("CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture(scope="session")
def models() -> Models:
    return load_models(RagConfig(**SETTINGS))


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> RagConfig:
    return RagConfig(uri=str(tmp_path_factory.mktemp("service") / "kb.db"), **SETTINGS)


@pytest.fixture(scope="session")
def store(config: RagConfig, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagVectorStore]:
    """The bundled knowledge base of team red, and two files of team blue. Treat it as read-only, it is shared."""
    blue = tmp_path_factory.mktemp("blue") / "blue"
    blue.mkdir()
    (blue / "secrets.md").write_text("# Secrets\n\nBM25 counts words. The blue password is swordfish.\n")
    (blue / "milvus.md").write_text("# Milvus\n\nAn embedded database locks its folder. Blue keeps the key.\n")
    with Session(config.model_copy(update={"hybrid": True}), models=models) as session:
        session.ingest([KNOWLEDGE], metadata={"team": "red"})
        session.ingest([blue], metadata={"team": "blue"})
    opened = open_store(config, models.identity)
    yield opened
    opened.close()
    release_lite(config.uri)


@pytest.fixture
def direct(config: RagConfig, store: RagVectorStore, models: Models) -> Session:
    """The same collection without a service."""
    return Session(config, store, models)


@pytest.fixture
def serving(config: RagConfig, store: RagVectorStore, models: Models) -> Iterator[Serving]:
    """`serving(token=..., ...)`: a service with these settings; `scope`, `llm` and changes of `config` as well."""
    with ExitStack() as stack:

        def start(
            scope: Any = None, llm: LLM | None = None, changes: dict[str, Any] | None = None, **settings: Any
        ) -> Running:
            session = Session(config.model_copy(update=changes or {}), store, models, llm=llm, scope=scope)
            return stack.enter_context(running(session, ServeSettings(port=0, **settings)))

        yield start


@pytest.fixture
def service(serving: Serving) -> Running:
    return serving()
