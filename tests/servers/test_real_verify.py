"""`verify` on real servers: a right one is called right, and what is served otherwise is named."""

from collections.abc import Callable

import pytest
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from qwen3_inference.verify import Check, scores_of, vectors_of, verify_embedding, verify_rerank

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
LONG = 2048
"""Tokens that the servers take."""


def wrong(checks: tuple[Check, ...]) -> dict[str, str]:
    return {one.check: one.found for one in checks if one.verdict == "wrong"}


@pytest.mark.parametrize("server", ["llama_cpp", "vllm"])
@pytest.mark.parametrize("with_weights", [False, True])
def test_a_right_embedding_server(server, with_weights, request, served_folders):
    folder, url = served_folders["embedding"], request.getfixturevalue(server)("embedding")
    engine = RemoteEmbeddingEngine(url, "model", tokenizer=str(folder), max_length=LONG, timeout=300)
    checks = verify_embedding(
        engine, expected=vectors_of(str(folder), device="cpu") if with_weights else None, published=False
    )
    assert wrong(checks) == {}
    if with_weights:
        assert {one.check: one.found for one in checks if one.verdict == "unknown"} == {}


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize(("server", "dialect", "prompt"), [
    ("llama_cpp", "llama.cpp", "server"), ("vllm", "vllm", "tokens"), ("vllm", "vllm", "client")
])  # fmt: skip
def test_a_right_rerank_server(server, dialect, prompt, with_weights, request, served_folders):
    folder, url = served_folders["reranker"], request.getfixturevalue(server)("reranker")
    settings = {"tokenizer": str(folder), "max_length": LONG, "timeout": 300}
    engine = RemoteRerankEngine(url, "model", dialect=dialect, prompt=prompt, **settings)
    checks = verify_rerank(
        engine, expected=scores_of(str(folder), device="cpu") if with_weights else None, published=False
    )
    assert wrong(checks) == {}


def test_a_vllm_server_without_a_template_that_is_to_write_it(vllm: Callable[[str], str], served_folders):
    folder = served_folders["reranker"]
    engine = RemoteRerankEngine(
        vllm("reranker"), "model", dialect="vllm", prompt="server", tokenizer=str(folder), max_length=LONG, timeout=300
    )
    found = wrong(verify_rerank(engine, expected=scores_of(str(folder), device="cpu"), published=False))
    assert "template missing" in found["template"]
    with pytest.raises(Exception, match=r"template missing.*qwen3-rag verify"):
        engine.score("How is bread baked?", ["In an oven."])


def test_a_llama_cpp_server_that_pools_by_the_mean(llama_cpp: Callable[[str], str], served_folders):
    folder = served_folders["embedding"]
    engine = RemoteEmbeddingEngine(llama_cpp("mean"), "model", tokenizer=str(folder), max_length=LONG, timeout=300)
    found = wrong(verify_embedding(engine, expected=vectors_of(str(folder), device="cpu"), published=False))
    assert list(found) == ["pooling"]
    assert "mean" in found["pooling"]
