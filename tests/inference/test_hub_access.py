"""Without the hub: a quick error that says what to do. The refusal is real: nothing listens on the endpoint."""

import os
import subprocess
import sys
import time

import pytest

SCRIPT = """
import sys
from qwen3_inference import *
kind, name = sys.argv[1:]
engine_class = {"embedding": TorchEmbeddingEngine, "reranker": TorchRerankEngine}[kind]
engine = engine_class(LocalSettings(name, kind, revision="abc"))
try:
    engine.load()
except HubUnavailableError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("kind", "name", "offline"),
    [
        ("embedding", "Qwen/Qwen3-Embedding-0.6B", "0"),
        ("reranker", "Qwen/Qwen3-Reranker-0.6B", "0"),
        ("embedding", "Qwen/Qwen3-Embedding-0.6B", "1"),
    ],
)
def test_an_unreachable_hub_is_reported_quickly_with_what_to_do(tmp_path, kind, name, offline):
    environment = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    environment.pop("HF_HUB_CACHE", None)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, name], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for part in (name, "at revision 'abc'", str(tmp_path), "cannot be reached", "hf download", "'tiny'"):
        assert part in done.stdout
    assert time.perf_counter() - started < 60, "huggingface_hub's retries must not keep the user waiting"
