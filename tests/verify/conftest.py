"""Endpoints with one fault, and what their models give, computed once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from qwen3_inference.verify import Check, scores_of, vectors_of, verify_embedding, verify_rerank
from support.fault_server import FaultServer

Verify = Callable[..., dict[str, Check]]
LEVELS = ("endpoint", "tokenizer", "weights")


@pytest.fixture(scope="session")
def expected_vectors() -> Callable[[Path], Any]:
    return cache(lambda folder: vectors_of(str(folder)))


@pytest.fixture(scope="session")
def expected_scores() -> Callable[[Path], Any]:
    return cache(lambda folder: scores_of(str(folder)))


@pytest.fixture
def verified_embedding(embedding_folder: Path, expected_vectors: Callable[[Path], Any]) -> Verify:
    """`verified_embedding(wrong, level=, send=, dialect=, expected=, **server)`: the checks by their names."""

    def verify(
        wrong: str = "",
        *,
        level: str = "weights",
        send: str = "text",
        dialect: str = "openai",
        expected: Any = None,
        model: str = "model",
        **server: Any,
    ) -> dict[str, Check]:
        with FaultServer(embedder=server.pop("embedder", embedding_folder), wrong=wrong, **server) as running:
            tokenizer = None if level == "endpoint" else str(embedding_folder)
            settings: dict[str, Any] = {"send": send, "dialect": dialect, "tokenizer": tokenizer, "timeout": 5}
            engine = RemoteEmbeddingEngine(running.url, model, **settings)
            if level == "weights" and expected is None:
                expected = expected_vectors(embedding_folder)
            found = verify_embedding(engine, expected=expected, long_tokens=200)
            assert len(running.seen) <= 18, f"{len(running.seen)} requests"
        return {one.check: one for one in found}

    return verify


@pytest.fixture
def verified_rerank(reranker_folder: Path, expected_scores: Callable[[Path], Any]) -> Verify:
    def verify(
        wrong: str = "",
        *,
        level: str = "weights",
        prompt: str = "server",
        dialect: str = "vllm",
        expected: Any = None,
        scores: str = "probability",
        model: str = "model",
        **server: Any,
    ) -> dict[str, Check]:
        server = {"template": prompt == "server", "reranker": reranker_folder, **server}
        with FaultServer(dialect, wrong=wrong, **server) as running:
            tokenizer = None if level == "endpoint" else str(reranker_folder)
            settings: dict[str, Any] = {"prompt": prompt, "dialect": dialect, "tokenizer": tokenizer, "timeout": 5}
            engine = RemoteRerankEngine(running.url, model, scores=scores, **settings)
            if level == "weights" and expected is None:
                expected = expected_scores(reranker_folder)
            found = verify_rerank(engine, expected=expected, long_tokens=600)
            assert len(running.seen) <= 14, f"{len(running.seen)} requests"
        return {one.check: one for one in found}

    return verify


def wrong_checks(found: dict[str, Check]) -> dict[str, str]:
    return {name: one.found for name, one in found.items() if one.verdict == "wrong"}
