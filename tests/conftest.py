"""Real checkpoints of random weights and a Milvus server, once a session. The suite is offline; warnings are errors.

Tests are divided among processes, one more than there are cores and up to four, since they wait a third of their time.
Those that are named by themselves or by their file (`pytest -q tests/test_readme.py`) run in this process: it starts
sooner, and prints and breakpoints work.
"""

import asyncio
import gc
import os
import signal

os.environ.setdefault(
    "HF_HUB_OFFLINE", "1"
)  # before any import reads it: no test may reach for the network by accident
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell's background: what the tests start would not see it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported, here and in what the tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers share the cores: more threads only wait for each other

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import SHAPES, Shape, make_checkpoint
from support.seeds import NAME, SEED, seed_hypothesis, seed_libraries
from support.servers import milvus_lite_server

seed_hypothesis()  # before tests are imported: they ask it for their number of examples

# Core ships this vocabulary and finds it itself; a spawned worker that unpickles a SentenceSplitter would download it.
CORE = find_spec("llama_index.core")
if CORE is not None and CORE.origin is not None:
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(Path(CORE.origin).parent / "_static" / "tiktoken_cache"))

SHARED_TOKENIZERS = Path(__file__).parents[2] / "shared" / "models"
MakeFolder = Callable[..., Path]
MAX_PROCESSES = 4
"""Each imports torch and makes its own checkpoints, and more would wait for the few longest tests."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` means here; `-n 0` and `-n 3` mean what they say."""
    if any(".py" in argument for argument in config.args):
        return 0
    # The cores this process may use, which can be fewer than the machine's; macOS does not tell them apart.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, MAX_PROCESSES)


def pytest_report_header() -> str:
    return f"seed of what is drawn: {NAME}={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Once more where it is needed: -q leaves out the header."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(f"to draw the same again: {NAME}={SEED}")


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    seed_libraries(request.node.nodeid)


@pytest.fixture(scope="session", autouse=True)
def _event_loop_of_this_thread() -> Iterator[None]:
    """LlamaIndex's synchronous methods ask asyncio for one, which makes one that nobody closes where there is none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


def pytest_collection_finish() -> None:
    """Modules outlive every test: a garbage collection that looks through them takes a third of a second longer."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> MakeFolder:
    """`checkpoint_folder(kind, shape)`: a folder with such a checkpoint; treat it as read-only, it is shared."""
    made: dict[Any, Path] = {}

    def make(kind: str, shape: Shape = SHAPES[0]) -> Path:
        if (kind, shape) not in made:
            made[kind, shape] = make_checkpoint(tmp_path_factory.mktemp(f"{kind}-{shape.name}"), kind, shape)
        return made[kind, shape]

    return make


@pytest.fixture(scope="session")
def embedding_folder(checkpoint_folder: MakeFolder) -> Path:
    return checkpoint_folder("embedding")


@pytest.fixture(scope="session")
def reranker_folder(checkpoint_folder: MakeFolder) -> Path:
    return checkpoint_folder("reranker")


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.name)
def shape(request: pytest.FixtureRequest) -> Shape:
    return request.param


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Milvus Lite's own gRPC server. It is shared: a test has collections of its own."""
    with milvus_lite_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="session")
def real_tokenizers() -> dict[str, Path]:
    """Folders of the official tokenizers by kind; optional data."""
    root = Path(os.environ.get("QWEN3_TOKENIZERS", SHARED_TOKENIZERS))
    folders = {kind: root / f"qwen3-{kind}-tokenizer" for kind in ("embedding", "reranker")}
    missing = [str(folder) for folder in folders.values() if not (folder / "tokenizer.json").is_file()]
    if missing:
        pytest.skip(f"the official tokenizers are not at {', '.join(missing)}; set QWEN3_TOKENIZERS to their folder")
    return folders
