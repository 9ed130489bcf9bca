"""Engines whose every forward enters a context manager: to see forwards overlap, or to slow them down."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from qwen3_inference import TorchEmbeddingEngine, TorchRerankEngine

from support.engines import embedder, reranker


def probed_embedder(folder: Path, probe: AbstractContextManager[Any]) -> TorchEmbeddingEngine:
    return _probe(embedder(folder, max_batch_tokens=64), probe)


def probed_reranker(folder: Path, probe: AbstractContextManager[Any]) -> TorchRerankEngine:
    return _probe(reranker(folder, max_batch_tokens=64), probe)


def _probe(engine: Any, probe: AbstractContextManager[Any]) -> Any:
    engine.load()
    decoder = engine._model.decoder
    for name in ("last_hidden", "prefill"):
        setattr(decoder, name, _entering(probe, getattr(decoder, name)))
    return engine


def _entering(probe: AbstractContextManager[Any], forward: Any) -> Any:
    def entered(*arguments: Any, **named: Any) -> Any:
        with probe:
            return forward(*arguments, **named)

    return entered
