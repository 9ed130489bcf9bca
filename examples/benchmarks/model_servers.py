"""Model servers for benchmarks, in processes of their own: vLLM, llama.cpp, and the protocols of TEI and Ollama."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
READY = 900
VLLM_RERANKER = (
    "--hf-overrides",
    '{"architectures": ["Qwen3ForSequenceClassification"], "classifier_from_token": ["no", "yes"], '
    '"is_original_qwen3_reranker": true}',
)
"""What makes a reranker of an original Qwen3-Reranker checkpoint."""


@contextmanager
def vllm(venv: Path, folder: Path, log: Path, dtype: str, *options: str) -> Iterator[str]:
    """The address of a vLLM server which calls the checkpoint in `folder` "model"."""
    command = [str(venv / "bin" / "vllm"), "serve", str(folder), "--served-model-name", "model", "--dtype", dtype]
    command += ["--host", "127.0.0.1", "--runner", "pooling", "--max-model-len", "2048", "--enforce-eager"]
    with started([*command, *options], log) as url:
        yield url


@contextmanager
def llama_cpp(folder: Path, log: Path, pooling: str) -> Iterator[str]:
    """The address of a llama.cpp server, whose context has 2048 tokens."""
    command = [sys.executable, str(HERE / "llama_cpp_server.py"), str(folder), "--pooling", pooling]
    with started(command, log) as url:
        yield url


@contextmanager
def protocols(upstream: str, tokenizer: Path, log: Path, limit: int) -> Iterator[str]:
    """The address at which TEI's and Ollama's protocols are spoken for the server at `upstream`."""
    command = [sys.executable, str(HERE / "protocol_server.py"), upstream, str(tokenizer), "--limit", str(limit)]
    with started(command, log) as url:
        yield url


@contextmanager
def started(command: Sequence[str], log: Path) -> Iterator[str]:
    """The address of `command --port PORT`, once its /health answers, until the end; what it prints goes to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as printed:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=printed, stderr=printed)
        try:
            deadline = time.monotonic() + READY
            while not _answers(f"http://127.0.0.1:{port}/health"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise TimeoutError("the server did not start")
                time.sleep(1)
            yield f"http://127.0.0.1:{port}"
        except Exception as error:
            raise RuntimeError(f"with a server that said:\n{log.read_text()[-3000:]}") from error
        finally:
            process.terminate()
            process.wait(60)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
