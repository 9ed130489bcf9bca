"""The first use of an engine refuses what is clearly wrong, in at most three requests, and says how to look closer."""

import pickle
import re

import pytest
from qwen3_inference.errors import EngineResponseError
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from support.fault_server import FaultServer

VECTORS = {
    "no end": "does not append <|endoftext|>",
    "cls": "the first token is pooled",
}
SCORES = {
    "missing": "template missing",
    "twice": "template twice",
    "no head": "without its head",
    "constant": "every document gets the score 0.3",
    "roles unknown": "every document gets the score",
    "logits": "scores='logit'",
}


@pytest.mark.parametrize("wrong", VECTORS)
def test_an_embedding_server_that_is_clearly_wrong(wrong, embedding_folder):
    with FaultServer(embedder=embedding_folder, wrong=wrong, ids="refused") as server:
        engine = RemoteEmbeddingEngine(server.url, "model", tokenizer=str(embedding_folder))
        for one in (engine, pickle.loads(pickle.dumps(engine))):  # as in a worker
            server.seen.clear()
            with pytest.raises(EngineResponseError, match=re.escape(VECTORS[wrong])) as caught:
                one.embed_documents(["one"])
            assert f"qwen3-rag verify --embed-url {server.url}" in str(caught.value)
            assert len(server.seen) <= 3


@pytest.mark.parametrize("dialect", ["vllm", "llama.cpp"])
@pytest.mark.parametrize("wrong", SCORES)
def test_a_reranking_server_that_is_clearly_wrong(wrong, dialect, reranker_folder):
    with FaultServer(dialect, reranker=reranker_folder, wrong=wrong, template=True) as server:
        engine = RemoteRerankEngine(
            server.url, "model", dialect=dialect, prompt="server", tokenizer=str(reranker_folder)
        )
        for one in (engine, pickle.loads(pickle.dumps(engine))):
            server.seen.clear()
            with pytest.raises(EngineResponseError, match=SCORES[wrong]) as caught:
                one.score("one", ["two"])
            assert len(server.seen) <= 3
            if wrong != "logits":
                assert f"qwen3-rag verify --rerank-url {server.url}" in str(caught.value)


@pytest.mark.parametrize("counts", [True, False])
def test_right_servers_are_used(counts, embedding_folder, reranker_folder):
    with FaultServer(embedder=embedding_folder, reranker=reranker_folder, template=True, counts=counts) as server:
        for send in ("text", "auto", "tokens"):
            server.seen.clear()
            engine = RemoteEmbeddingEngine(server.url, "model", tokenizer=str(embedding_folder), send=send)
            engine.embed_documents(["one"])
            engine.embed_documents(["two"])
            assert len(server.seen) <= 3 + 2
        for prompt in ("server", "tokens"):
            server.seen.clear()
            judge = RemoteRerankEngine(
                server.url, "model", dialect="vllm", prompt=prompt, tokenizer=str(reranker_folder)
            )
            judge.score("one", ["two"])
            judge.score("two", ["two"])
            assert len(server.seen) <= 3 + 2
