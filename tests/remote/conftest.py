"""Model servers of this process, and engines that ask them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from support.model_server import ModelServer

MODEL = "model"


@pytest.fixture
def serve(embedding_folder: Path, reranker_folder: Path) -> Iterator[Callable[..., ModelServer]]:
    """`serve(kind, **settings)`: a running server of both models."""
    running: list[ModelServer] = []

    def start(kind: str = "vllm", **settings: Any) -> ModelServer:
        server = ModelServer(kind, embedder=embedding_folder, reranker=reranker_folder, **settings)
        running.append(server.__enter__())
        return server

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def remote_embedder(embedding_folder: Path) -> Callable[..., RemoteEmbeddingEngine]:
    def make(server: ModelServer, **settings: Any) -> RemoteEmbeddingEngine:
        return RemoteEmbeddingEngine(
            server.url, MODEL, **{"tokenizer": str(embedding_folder), "timeout": 20, **settings}
        )

    return make


@pytest.fixture
def remote_reranker(reranker_folder: Path) -> Callable[..., RemoteRerankEngine]:
    def make(server: ModelServer, **settings: Any) -> RemoteRerankEngine:
        defaults = {"dialect": "vllm", "prompt": "tokens", "tokenizer": str(reranker_folder), "timeout": 20}
        return RemoteRerankEngine(server.url, MODEL, **{**defaults, **settings})

    return make
