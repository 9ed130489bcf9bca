"""The pair, a corpus, a language model over real HTTP, and a watch over what a test leaves behind."""

import asyncio
import contextlib
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import qwen3_rag
from llama_index.core.schema import TextNode
from llama_index.core.storage.chat_store import sql as sql_chat_store
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from milvus_lite.server_manager import server_manager_instance
from qwen3_rag import Models, RagConfig, RagVectorStore, load_models, open_store
from qwen3_rag.ingestion.pipeline import ingest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from support.grounded_model import grounded
from support.openai_server import OpenAIServer

KNOWLEDGE = Path(qwen3_rag.__file__).parent / "knowledge"
LASTING_THREADS = ("qwen3", "process_request_thread", "serve_forever")
"""Parts of the names of threads whose owners outlive a test: the models' workers, the scripted server."""
# Milvus Lite logs a traceback for a call it does not know at every connection. pytest keeps the record, with it the
# frames, and with them the threads of a server that is closed long since.
logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
OTHERS_WARNINGS = [
    # LlamaIndex's OpenAI client leaves its asynchronous HTTP clients open. (Milvus' connections are gRPC's.)
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:unclosed transport:ResourceWarning",
    # LlamaIndex's agents look at every attribute they have.
    "ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20",
    "ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211",
]


def pytest_itemcollected(item: pytest.Item) -> None:
    if Path(__file__).parent in item.path.parents:
        for warning in OTHERS_WARNINGS:
            item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def embed_model() -> Qwen3Embedding:
    return Qwen3Embedding("tiny", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def rerank() -> Qwen3Rerank:
    return Qwen3Rerank("tiny", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def language_model() -> Iterator[OpenAIServer]:
    with OpenAIServer(grounded) as server:
        yield server


@pytest.fixture
def llm(language_model: OpenAIServer) -> OpenAI:
    """LlamaIndex's own OpenAI client, unmodified, talking HTTP to the scripted server."""
    language_model.requests.clear()
    return OpenAI("gpt-4o-mini", api_base=language_model.url, api_key="none", reuse_client=False, max_retries=0)


@pytest.fixture(scope="session", params=["lite", "server"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Both kinds of Milvus that run here: in this process, and behind gRPC."""
    if request.param == "server":
        return str(request.getfixturevalue("milvus_server"))
    return str(tmp_path_factory.mktemp("lite") / "knowledge.db")


@pytest.fixture(scope="session")
def config(database: str) -> RagConfig:
    settings = {"device": "cpu", "dtype": "float32", "hybrid": True, "collection": "knowledge"}
    return RagConfig(uri=database, embed_model="tiny", **settings)


@pytest.fixture(scope="session")
def models(config: RagConfig) -> Models:
    return load_models(config)


@pytest.fixture(scope="session")
def store(config: RagConfig, models: Models) -> Iterator[RagVectorStore]:
    """The bundled knowledge base in Milvus; treat it as read-only, it is shared."""
    opened = open_store(config, models.identity, create=True)
    with contextlib.chdir(KNOWLEDGE):  # sources go by their names relative to the current folder
        ingest(["."], store=opened, embed_model=models.embed)
    yield opened
    opened.close()


@pytest.fixture
def sweets() -> list[TextNode]:
    """Four passages that no words of the questions tell apart by chance."""
    texts = {
        "honey": "Bees make honey from nectar. A hive stores it in wax cells for the winter.",
        "sugar": "Sugar is pressed from cane or cooked from beets. Crystals form when the juice boils down.",
        "bread": "Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.",
        "tyres": "Tyres need air. A soft tyre wears out fast and makes the car drink more fuel.",
    }
    return [TextNode(text=text, id_=name, metadata={"topic": name}) for name, text in texts.items()]


@pytest.fixture
def seen_queries(embed_model: Qwen3Embedding, rerank: Qwen3Rerank, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that reach the engines, as they reach them."""
    seen: list[str] = []
    for engine, method in ((embed_model._local_engine, "embed_queries"), (rerank._local_engine, "score")):
        original = getattr(engine, method)

        def spy(questions: Any, *args: Any, original: Any = original, **kwargs: Any) -> Any:
            seen.extend([questions] if isinstance(questions, str) else questions)
            return original(questions, *args, **kwargs)

        monkeypatch.setattr(engine, method, spy)
    return seen


@pytest.fixture
def seen_instructions(
    embed_model: Qwen3Embedding, rerank: Qwen3Rerank, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The instruction last given to each engine."""
    seen: dict[str, Any] = {}
    engines = {"embedding": (embed_model._local_engine, "embed_queries"), "reranking": (rerank._local_engine, "score")}
    for kind, (engine, method) in engines.items():
        original = getattr(engine, method)

        def spy(*args: Any, original: Any = original, kind: str = kind, **kwargs: Any) -> Any:
            seen[kind] = kwargs["instruction"]
            return original(*args, **kwargs)

        monkeypatch.setattr(engine, method, spy)
    return seen


@pytest.fixture(autouse=True)
def chat_memories_closed(monkeypatch: pytest.MonkeyPatch, nothing_left_behind: None) -> Iterator[None]:
    """Closes what LlamaIndex's chat engines do not: the SQLite connections of their memories, each with its thread.

    Collected instead, a connection answers its last call on whatever loop is current, which may close first.
    """
    opened: list[AsyncEngine] = []

    def recorded(*args: Any, **kwargs: Any) -> AsyncEngine:
        opened.append(create_async_engine(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sql_chat_store, "create_async_engine", recorded)
    yield
    loop = asyncio.new_event_loop()
    for engine in opened:
        loop.run_until_complete(engine.dispose())
    loop.close()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves threads, tasks, un-awaited coroutines or complaints of asyncio's behind."""
    lasting = LASTING_THREADS
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("no_tasks_left")
        lasting = (*LASTING_THREADS, "asyncio_")  # the loop, and its executor, is closed after this fixture
    complaints = _Complaints()
    logging.getLogger("asyncio").addHandler(complaints)
    before = set(threading.enumerate())
    # Milvus Lite runs in this process: its pool, there before the test, may grow by the calls made at once.
    lasting = (*lasting, *{f"{t.name.rsplit('_', 1)[0]}_" for t in before if t.name.startswith("ThreadPoolExecutor-")})
    yield
    gc.collect()  # a coroutine that nobody awaited warns when it is collected, and warnings are errors
    logging.getLogger("asyncio").removeHandler(complaints)
    assert not complaints.messages, "asyncio complained: " + "; ".join(complaints.messages)
    assert not (left := _threads_since(before, lasting)), f"threads left running: {left}"


@pytest.fixture
async def no_tasks_left() -> AsyncIterator[None]:
    yield
    for _ in range(20):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"tasks left running: {[task.get_coro() for task in left]}")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; Milvus Lite databases opened in it are let go of afterwards."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for path in list(server_manager_instance._servers):
        if path.startswith(str(tmp_path)):
            server_manager_instance.release_server(path)


class _Complaints(logging.Handler):
    """What asyncio logs: exceptions nobody retrieved, tasks destroyed while pending, closed loops."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _threads_since(before: set[threading.Thread], lasting: Sequence[str]) -> list[str]:
    deadline = time.monotonic() + 8
    while True:
        names = [thread.name for thread in threading.enumerate() if thread not in before]
        left = [name for name in names if not any(part in name for part in lasting)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)
