"""Running out of memory for real: a process whose address space is limited, on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import reference
from support.engines import PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc are Linux")

# Loads and warms up the engine, then leaves it `megabytes` more of address space, and reports the batches it ran.
SCRIPT = """
import json, resource, sys
kind, folder, megabytes, texts = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
import torch
torch.set_num_threads(1)
from qwen3_inference import LocalSettings, TorchEmbeddingEngine, TorchRerankEngine
engine_class = TorchEmbeddingEngine if kind == "embedding" else TorchRerankEngine
engine = engine_class(LocalSettings(folder, kind, device="cpu", dtype="float32", max_batch_tokens=10**6))
run = engine.embed_documents if kind == "embedding" else lambda texts, **rest: engine.score("q", texts, **rest)
run(["warm up " * 3000])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, resource.RLIM_INFINITY))
batches = []
try:
    print(json.dumps({"result": run(texts, progress=batches.append).tolist(), "batches": batches}))
except (RuntimeError, MemoryError) as error:
    print(json.dumps({"error": str(error), "batches": batches}))
"""
TEXTS = ["vector " * (60 + i % 7) + str(i) for i in range(256)]


def run_limited(kind: str, folder: Path, megabytes: int, texts: list[str]) -> dict:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, kind, str(folder), str(megabytes), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_free(kind: str, folder: Path, texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """In this process, which has no limit: (result, batches)."""
    batches: list[int] = []
    options = {"max_batch_tokens": 10**6}
    if kind == "embedding":
        return embedder(folder, **options).embed_documents(texts, progress=batches.append), batches
    return reranker(folder, **options).score("q", texts, progress=batches.append), batches


@pytest.mark.parametrize("kind", ["embedding", "reranker"])
def test_batches_are_halved_until_they_fit_and_the_result_is_the_same(kind, checkpoint_folder):
    folder = checkpoint_folder(kind)
    tight = run_limited(kind, folder, 12, TEXTS)
    free, batches = run_free(kind, folder, TEXTS)
    assert len(batches) <= torch.get_num_threads(), "without a limit, one batch a thread"
    assert "error" not in tight
    assert len(tight["batches"]) > 1, "the limit was not felt; the test shows nothing"
    assert sum(tight["batches"]) == 256
    if kind == "embedding":
        expected, tolerance = reference.embed(folder, TEXTS), VECTOR_TOLERANCE
    else:
        expected, tolerance = reference.score(folder, "q", TEXTS), PROBABILITY_TOLERANCE
    assert_close(np.array(tight["result"]), expected, tolerance)
    assert_close(np.array(tight["result"]), free, tolerance)


def test_a_text_that_does_not_fit_alone_is_an_error_that_ends(checkpoint_folder):
    answer = run_limited("embedding", checkpoint_folder("embedding"), 1, ["vector " * 3500] * 2)
    assert "memory" in answer["error"]
