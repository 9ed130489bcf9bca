"""Without the hub: a quick error that says what to do. The refusal is real: nothing listens on the endpoint."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from qwen3_inference import CheckpointError, LocalSettings

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


CACHES = """
import sys
from qwen3_inference import LocalSettings, TorchEmbeddingEngine
settings = LocalSettings("Qwen/Qwen3-Embedding-0.6B", "embedding", cache_folder=sys.argv[1] or None)
print(TorchEmbeddingEngine(settings).identity)
"""


def cached(cache: Path, source: Path, *, whole: bool = True) -> Path:
    """A checkpoint as the hub's library lays it into a cache."""
    repository = cache / "models--Qwen--Qwen3-Embedding-0.6B"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(source, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    if not whole:
        (snapshot / "model.safetensors").unlink()
    return cache


@pytest.mark.parametrize("variable", ["SENTENCE_TRANSFORMERS_HOME", "LLAMA_INDEX_CACHE_DIR"])
@pytest.mark.parametrize("has_tokenizer_only", [True, False], ids=["half a hub cache", "no hub cache"])
def test_a_model_in_another_librarys_cache_is_found(tmp_path, embedding_folder, variable, has_tokenizer_only):
    other = cached(tmp_path / "other", embedding_folder)
    if has_tokenizer_only:
        cached(tmp_path / "hub", embedding_folder, whole=False)
    done = run_offline(tmp_path, "", **{variable: str(other)})
    assert done.stdout.startswith("Qwen/Qwen3-Embedding-0.6B@" + "a" * 40), done.stderr


def test_half_a_cache_is_no_model(tmp_path, embedding_folder):
    cached(tmp_path / "hub", embedding_folder, whole=False)
    done = run_offline(tmp_path, "")
    assert "the hub's cache has only a part of the model" in done.stderr
    assert "hf download" in done.stderr


def test_a_named_cache_is_the_only_one_looked_at(tmp_path, embedding_folder):
    other = cached(tmp_path / "other", embedding_folder)
    done = run_offline(tmp_path, str(tmp_path / "empty"), LLAMA_INDEX_CACHE_DIR=str(other))
    assert "is not in the cache" in done.stderr
    assert f"$LLAMA_INDEX_CACHE_DIR: {other}" in done.stderr


@pytest.mark.parametrize("name", ["models/Qwen3-Embedding-0.6B", "here/Qwen3-Embedding-0.6B"])
def test_a_relative_folder_that_is_not_there_says_so(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=rf"{name}' is not a folder \(seen from {tmp_path}\)"):
        LocalSettings(name, "embedding").open()


def run_offline(home: Path, cache_folder: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("HF_HOME", "HF_HUB_CACHE")}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(home / "hub"), **variables}
    command = [sys.executable, "-c", CACHES, cache_folder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
