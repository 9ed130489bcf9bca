"""A right server is never called wrong, whatever its weights, its number format and its batches."""

from pathlib import Path

import pytest
import torch
from qwen3_inference.hub import tiny_folder
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from qwen3_inference.verify import Report, verify_embedding, verify_rerank
from support.checkpoints import SHAPES, make_checkpoint
from support.fault_server import FaultServer

DTYPES = [torch.float32, torch.bfloat16]
CHECKPOINTS = {
    **{shape.name: {"shape": shape, "seed": place + 1} for place, shape in enumerate(SHAPES)},
    "small numbers": {"initializer_range": 0.02, "hidden_size": 256, "num_hidden_layers": 4},
}


PAIRS = [pytest.param(name, dtype, id=f"{name}-{dtype}") for name in CHECKPOINTS for dtype in DTYPES]
PAIRS += [pytest.param("tiny", torch.float32, id="tiny-torch.float32")]
PAIRS += [pytest.param("tiny", torch.bfloat16, id="tiny-torch.bfloat16", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def pair(request, tmp_path_factory) -> tuple[Path, Path]:
    if request.param == "tiny":
        return tiny_folder("embedding"), tiny_folder("reranker")
    home = tmp_path_factory.mktemp("pair")
    kinds = ("embedding", "reranker")
    first, second = (make_checkpoint(home / kind, kind, **CHECKPOINTS[request.param]) for kind in kinds)
    return first, second


@pytest.mark.parametrize(("pair", "dtype"), PAIRS, indirect=["pair"])
def test_a_right_pair_of_servers(pair, dtype, expected_vectors, expected_scores):
    embedder, reranker = pair
    with FaultServer(embedder=embedder, reranker=reranker, dtype=dtype, template=True) as server:
        for tokenizers in ((None, None), tuple(map(str, pair))):
            embedding = RemoteEmbeddingEngine(server.url, "model", send="text", tokenizer=tokenizers[0])
            rerank = RemoteRerankEngine(server.url, "model", dialect="vllm", prompt="server", tokenizer=tokenizers[1])
            found = Report(verify_embedding(embedding, long_tokens=300), verify_rerank(rerank, long_tokens=600))
            assert found.verdict != "wrong", found
        found = Report(
            verify_embedding(embedding, expected=expected_vectors(embedder), long_tokens=300),
            verify_rerank(rerank, expected=expected_scores(reranker), long_tokens=600),
        )
        assert found.verdict != "wrong", found
        if dtype is torch.float32:
            assert found.verdict == "right", found


def test_both_endpoints_take_less_than_thirty_requests(
    embedding_folder, reranker_folder, expected_vectors, expected_scores
):
    with FaultServer(embedder=embedding_folder, reranker=reranker_folder, template=True) as server:
        for send in ("auto", "text"):
            embedding = RemoteEmbeddingEngine(server.url, "model", send=send, tokenizer=str(embedding_folder))
            rerank = RemoteRerankEngine(
                server.url, "model", dialect="vllm", prompt="server", tokenizer=str(reranker_folder)
            )
            server.seen.clear()
            verify_embedding(embedding, expected=expected_vectors(embedding_folder), long_tokens=300)
            verify_rerank(rerank, expected=expected_scores(reranker_folder), long_tokens=600)
            assert len(server.seen) < 30
