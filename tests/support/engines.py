"""Engines in float32 on the CPU: what the tolerances are stated for."""

from pathlib import Path
from typing import Any

from qwen3_inference import LocalSettings, TorchEmbeddingEngine, TorchRerankEngine

VECTOR_TOLERANCE = 2e-6
PROBABILITY_TOLERANCE = 1e-5
FLOAT32_ON_CPU = {"device": "cpu", "dtype": "float32"}


def embedder(folder: Path, **settings: Any) -> TorchEmbeddingEngine:
    return TorchEmbeddingEngine(LocalSettings(str(folder), "embedding", **FLOAT32_ON_CPU | settings))


def reranker(folder: Path, **settings: Any) -> TorchRerankEngine:
    return TorchRerankEngine(LocalSettings(str(folder), "reranker", **FLOAT32_ON_CPU | settings))


def assert_close(ours: Any, reference: Any, tolerance: float) -> None:
    difference = abs(ours - reference).max()
    assert ours.shape == reference.shape
    assert difference <= tolerance, f"largest difference {difference:.2e} is over {tolerance:.0e}"
