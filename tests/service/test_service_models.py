"""The models for other programs: their own clients, unmodified, over real HTTP, get what the engines give."""

from __future__ import annotations

import base64

import cohere
import httpx
import numpy as np
import openai
import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference import use_instruction
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from qwen3_rag.models import Models
from support.service import Running, good, refused

TEXTS = ["Yeast makes the dough rise.", "Tyres need air.", "", "検索の前に文書を分割する", "a <|im_end|> b"]
QUERY = "What makes dough rise?"
CLOSE = 2e-6


@pytest.fixture(scope="module")
def embed(models: Models) -> Qwen3Embedding:
    assert isinstance(models.embed, Qwen3Embedding)
    return models.embed


@pytest.fixture(scope="module")
def reranker(models: Models) -> Qwen3Rerank:
    assert isinstance(models.rerank, Qwen3Rerank)
    return models.rerank


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_openais_client(service: Running, embed: Qwen3Embedding, encoding: str | None) -> None:
    more = {"encoding_format": encoding} if encoding else {}  # left out, the client asks for base64 and decodes it
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        found = client.embeddings.create(model="tiny", input=TEXTS, **more)
        assert [one.id for one in client.models.list()] == ["tiny"]
        with pytest.raises(openai.NotFoundError, match="this is 'tiny'"):
            client.embeddings.create(model="text-embedding-3-small", input=TEXTS)
        short = client.embeddings.create(model="tiny", input=TEXTS[0], dimensions=32)
    assert [one.index for one in found.data] == list(range(len(TEXTS)))
    rows = [one.embedding for one in found.data]
    if encoding == "base64":  # the client leaves what was asked for as it is
        rows = [np.frombuffer(base64.b64decode(str(row)), "<f4").tolist() for row in rows]
    np.testing.assert_allclose(rows, embed.get_text_embedding_batch(TEXTS), atol=CLOSE)
    np.testing.assert_allclose(
        short.data[0].embedding, embed.model_copy(update={"dimensions": 32}).get_text_embedding(TEXTS[0]), atol=CLOSE
    )


def test_queries_and_instructions(service: Running, embed: Qwen3Embedding) -> None:
    def asked(**fields: object) -> list[list[float]]:
        return [one["embedding"] for one in good(service.http.post("/v1/embeddings", json=fields))["data"]]

    np.testing.assert_allclose(
        asked(input=[QUERY, "x"], input_type="query"), embed.get_query_embedding_batch([QUERY, "x"]), atol=CLOSE
    )
    for instruction in ("Given a recipe, find its kind", ""):
        with use_instruction(query=instruction):
            expected = embed.get_query_embedding(QUERY)
        np.testing.assert_allclose(
            asked(input=QUERY, input_type="query", instruction=instruction)[0], expected, atol=CLOSE
        )
    with_prompt = embed.model_copy(update={"text_instruction": "passage: "})
    np.testing.assert_allclose(
        asked(input=QUERY, instruction="passage: ")[0], with_prompt.get_text_embedding(QUERY), atol=CLOSE
    )
    assert asked(input=QUERY, input_type="document") == asked(input=QUERY)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"input": []}, 422, "input"),
        ({"input": [1, 2]}, 422, "string"),
        ({"input": ["x"] * 2_049}, 422, "2048"),
        ({"input": "x", "dimensions": 257}, 400, "256"),
        ({"input": "x", "dimensions": 0}, 422, "dimensions=0"),
        ({"input": "x", "encoding_format": "int8"}, 422, "'float' or 'base64'"),
        ({"input": "many words " * 9_000, "input_type": "query"}, 400, "8192"),
        ({"input": "x", "truncate": True}, 422, "'truncate'"),
    ],
)
def test_what_cannot_be_embedded_is_said(service: Running, body: dict[str, object], status: int, word: str) -> None:
    refused(service.http.post("/v1/embeddings", json=body), status, word)


def test_llama_indexs_client_for_compatible_servers(service: Running, embed: Qwen3Embedding) -> None:
    model = OpenAILikeEmbedding(model_name="tiny", api_base=f"{service.url}/v1", api_key="none", reuse_client=False)
    np.testing.assert_allclose(
        model.get_text_embedding_batch(TEXTS[:2]), embed.get_text_embedding_batch(TEXTS[:2]), atol=CLOSE
    )


def test_coheres_clients(service: Running, reranker: Qwen3Rerank) -> None:
    expected = reranker.rank(QUERY, TEXTS)
    with httpx.Client(trust_env=False) as http:
        for client in (
            cohere.Client("none", base_url=service.url, httpx_client=http),
            cohere.ClientV2("none", base_url=service.url, httpx_client=http),
        ):
            found = client.rerank(model="tiny", query=QUERY, documents=TEXTS)
            assert [one.index for one in found.results] == [one.index for one in expected]
            assert [one.relevance_score for one in found.results] == pytest.approx(
                [one.score for one in expected], abs=1e-6
            )
            best = client.rerank(model="tiny", query=QUERY, documents=TEXTS, top_n=2)
            assert [one.index for one in best.results] == [one.index for one in expected][:2]


def test_jinas_shape(service: Running, reranker: Qwen3Rerank) -> None:
    """As Jina's own clients and LlamaIndex's `JinaRerank` send it."""
    body = {"model": "tiny", "query": QUERY, "documents": [{"text": one} for one in TEXTS], "top_n": 2}
    found = good(service.http.post("/v1/rerank", json={**body, "return_documents": True}))
    expected = reranker.rank(QUERY, TEXTS, top_n=2)
    assert [(one["index"], one["document"]["text"]) for one in found["results"]] == [
        (one.index, one.text) for one in expected
    ]
    task = "Given a question, find what is about cars"
    asked = good(service.http.post("/v1/rerank", json={**body, "instruction": task, "top_n": 5}))
    assert [one["relevance_score"] for one in asked["results"]] == pytest.approx(
        [one.score for one in reranker.rank(QUERY, TEXTS, instruction=task)], abs=1e-6
    )
    assert good(service.http.post("/v1/rerank", json={"query": QUERY, "documents": []}))["results"] == []
    refused(service.http.post("/v1/rerank", json={"query": "many words " * 9_000, "documents": ["a"]}), 400, "8192")
    refused(service.http.post("/v1/rerank", json={**body, "max_chunks_per_doc": 3}), 422, "'max_chunks_per_doc'")
    refused(service.http.post("/v1/rerank", json={**body, "model": "rerank-v3.5"}), 404, "'tiny'")


def test_our_own_remote_engines(service: Running, embed: Qwen3Embedding, reranker: Qwen3Rerank) -> None:
    vectors = RemoteEmbeddingEngine(service.url, "tiny", dialect="qwen3-rag")
    remote = Qwen3Embedding(engine=vectors, dimensions=64)
    near = embed.model_copy(update={"dimensions": 64})
    np.testing.assert_allclose(remote.get_text_embedding_batch(TEXTS), near.get_text_embedding_batch(TEXTS), atol=CLOSE)
    for instruction in (None, "Given a question, find recipes"):
        with use_instruction(instruction):
            np.testing.assert_allclose(remote.get_query_embedding(QUERY), near.get_query_embedding(QUERY), atol=CLOSE)
            nodes = [NodeWithScore(node=TextNode(text=text or "-")) for text in TEXTS * 20]
            scores = RemoteRerankEngine(service.url, "tiny", dialect="qwen3-rag", prompt="server")
            found = Qwen3Rerank(engine=scores, top_n=100).postprocess_nodes(nodes, query_str=QUERY)
            expected = reranker.model_copy(update={"top_n": 100}).postprocess_nodes(nodes, query_str=QUERY)
            assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-5)


def test_a_service_without_a_reranker_says_so(serving: object) -> None:
    assert callable(serving)
    bare: Running = serving(changes={"rerank_model": "none"})
    # The models of this service were given to it, reranker included; it goes by the configuration.
    refused(bare.http.post("/v1/rerank", json={"query": "a", "documents": ["b"]}), 404, "no reranker")
