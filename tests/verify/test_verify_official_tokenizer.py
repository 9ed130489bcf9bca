"""The official tokenizers in place of the small one: right servers pass, and faults are named in words."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from qwen3_inference.verify import Check, verify_embedding, verify_rerank
from support.checkpoints import SHAPES, make_with_tokenizer
from support.fault_server import FaultServer

from .conftest import wrong_checks
from .test_verify_embedding import FAULTS as TEXT_FAULTS
from .test_verify_rerank import FAULTS as SCORE_FAULTS

EMBEDDING = {"no end": False, "turn end": True, "mean": True, "prompt before all": False, "collapsed": True}
RERANK = {"missing": False, "twice": True, "sglang": False, "one newline": False, "swapped": True}
"""Whether the weights are at hand: half of the faults are told by each level."""
Folders = dict[str, Path]


@pytest.fixture(scope="module")
def folders(real_tokenizers: Folders, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    home = tmp_path_factory.mktemp("official")
    return {
        kind: make_with_tokenizer(home / kind, kind, SHAPES[0], tokenizer)
        for kind, tokenizer in real_tokenizers.items()
    }


def embedding_checks(server: FaultServer, folder: Path, expected: Any, send: str = "text") -> dict[str, Check]:
    engine = RemoteEmbeddingEngine(server.url, "model", tokenizer=str(folder), send=send)
    return {one.check: one for one in verify_embedding(engine, expected=expected, long_tokens=200)}


def rerank_checks(server: FaultServer, folder: Path, expected: Any, dialect: str) -> dict[str, Check]:
    engine = RemoteRerankEngine(server.url, "model", dialect=dialect, prompt="server", tokenizer=str(folder))
    return {one.check: one for one in verify_rerank(engine, expected=expected, long_tokens=500)}


@pytest.mark.parametrize(("dialect", "send", "with_weights"), [("vllm", "text", False), ("sglang", "auto", True)])
def test_right_servers_pass(
    dialect: str,
    send: str,
    with_weights: bool,
    folders: Folders,
    expected_vectors: Callable[..., Any],
    expected_scores: Callable[..., Any],
) -> None:
    vectors = expected_vectors(folders["embedding"]) if with_weights else None
    scores = expected_scores(folders["reranker"]) if with_weights else None
    with FaultServer(dialect, folders["embedding"], folders["reranker"], template=True) as server:
        found = rerank_checks(server, folders["reranker"], scores, dialect)
        assert wrong_checks(found) == {}
        assert found["template"].verdict == "ok"
        found = embedding_checks(server, folders["embedding"], vectors, send)
        assert wrong_checks(found) == {}
        assert found["eos"].verdict == found["prompt"].verdict == "ok"


@pytest.mark.parametrize(("wrong", "with_weights"), EMBEDDING.items())
def test_a_fault_of_an_embedding_server(
    wrong: str, with_weights: bool, folders: Folders, expected_vectors: Callable[..., Any]
) -> None:
    folder, (check, words) = folders["embedding"], TEXT_FAULTS[wrong]
    with FaultServer(embedder=folder, wrong=wrong) as server:
        found = wrong_checks(embedding_checks(server, folder, expected_vectors(folder) if with_weights else None))
    assert set(found) == {check}, found
    assert re.search(words, found[check]), found


@pytest.mark.parametrize(("wrong", "with_weights"), RERANK.items())
def test_a_fault_of_a_reranking_server(
    wrong: str, with_weights: bool, folders: Folders, expected_scores: Callable[..., Any]
) -> None:
    folder, (check, words) = folders["reranker"], SCORE_FAULTS[wrong]
    with FaultServer("sglang", reranker=folder, template=True, wrong=wrong) as server:
        expected = expected_scores(folder) if with_weights else None
        found = wrong_checks(rerank_checks(server, folder, expected, "sglang"))
    assert set(found) == {check}, found
    assert re.search(words, found[check]), found
