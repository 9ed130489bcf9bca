"""`/search`, `/sources`, `/passages`: over HTTP what a session gives, and errors that say what to mend."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from qwen3_rag import Session
from qwen3_rag.query.stages import Wishes
from qwen3_rag.serve.bodies import MAX_TOP_K, QuestionBody
from support.service import Running, good, refused

QUESTIONS = ["What does BM25 count?", "What does an embedded database lock?", "Wie lange soll grüner Tee ziehen?"]
WISHES: list[dict[str, Any]] = [
    {},
    {"top_k": 5, "top_n": 2},
    {"top_n": 20},
    {"mode": "hybrid"},
    {"filters": ["source=knowledge/milvus.md"]},
    {"filters": ["team!=red", "position>=0"]},
    {"instruction": "Given a question, retrieve passages about databases"},
    {"query_instruction": "", "rerank_instruction": "Given a word, find it"},
    {"score_threshold": 0.999},
    {"rerank": False},
]


@pytest.mark.parametrize("wishes", WISHES, ids=lambda one: ",".join(one) or "none")
def test_search_gives_what_a_session_gives(service: Running, direct: Session, wishes: Any) -> None:
    assert service.search(QUESTIONS[0], **wishes) == json.loads(
        json.dumps(direct.search(QUESTIONS[0], **wishes).to_json())
    )


def test_a_question_may_wish_for_all_that_a_session_knows() -> None:
    fields = set(QuestionBody.model_fields) - {"query", "collection"}
    assert fields == set(Wishes.__annotations__) == set(QuestionBody(query="").wishes())


def test_many_at_once_get_each_their_own(service: Running, direct: Session) -> None:
    expected = {question: json.loads(json.dumps(direct.search(question).to_json())) for question in QUESTIONS}
    asked = QUESTIONS * 12
    with ThreadPoolExecutor(12) as pool:
        for question, found in zip(asked, pool.map(service.search, asked), strict=True):
            assert [row["node_id"] for row in found["reranked"]] == [
                row["node_id"] for row in expected[question]["reranked"]
            ]
            for row, wanted in zip(found["reranked"], expected[question]["reranked"], strict=True):
                assert row["score"] == pytest.approx(wanted["score"], abs=1e-5)


def test_sources_and_passages(service: Running, direct: Session) -> None:
    everything = good(service.http.get("/sources"))
    assert everything["total"] == 12
    assert {row["source"]: row["passages"] for row in everything["sources"]} == dict(direct.sources())
    few = good(service.http.get("/sources", params={"prefix": "knowledge/", "limit": 2}))
    assert (few["total"], [row["source"] for row in few["sources"]]) == (
        10,
        ["knowledge/deutsch.md", "knowledge/espanol.md"],
    )

    whole = direct.show("knowledge/milvus.md").model_dump()
    read = good(service.http.get("/passages", params={"source": "knowledge/milvus.md", "count": 100}))
    assert read == whole
    part = good(service.http.get("/passages", params={"source": "knowledge/milvus.md", "from": 2, "count": 3}))
    assert part["passages"] == whole["passages"][2:5]
    assert part["total"] == whole["total"]
    refused(
        service.http.get("/passages", params={"source": "milvus.md"}), 404, "'blue/milvus.md'", "'knowledge/milvus.md'"
    )


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, ["no JSON"]),
        (b"{", 400, ["no JSON"]),
        (b"[" * 100_000, 400, ["no JSON"]),
        (b'{"query": "\xff"}', 400, ["no JSON"]),
        (b'"query"', 422, ["object"]),
        (b"{}", 422, ["'query'", "missing"]),
        ({"query": 7}, 422, ["query=7", "string"]),
        ({"query": "x", "topk": 3}, 422, ["'topk'", "not a field"]),
        ({"query": "x", "top_k": "5"}, 422, ["top_k='5'", "integer"]),
        ({"query": "x", "top_k": 0}, 422, ["top_k=0"]),
        ({"query": "x", "top_k": MAX_TOP_K + 1}, 422, [str(MAX_TOP_K)]),
        ({"query": "x", "top_n": True}, 422, ["top_n=True"]),
        ({"query": "x", "mode": "sparse"}, 422, ["'dense' or 'hybrid'"]),
        ({"query": "x", "filters": "source=a"}, 422, ["filters"]),
        ({"query": "x", "filters": ["a=b"] * 33}, 422, ["32"]),
        ({"query": "x", "filters": ["nonsense"]}, 400, ["'nonsense'", "key=value"]),
        ({"query": "x", "score_threshold": 1.5}, 422, ["score_threshold=1.5"]),
        ({"query": "x", "score_threshold": 0.5, "rerank": False}, 400, ["score_threshold", "second stage"]),
        ({"query": "x" * 200_001}, 422, ["200000"]),
        ({"query": "x", "collection": "nothing"}, 404, ["'nothing'", "docs"]),
        ({"query": "  "}, 400, ["empty"]),
        ({"query": "many words " * 9_000}, 400, ["8192"]),
        (b'{"query": "\\ud800"}', 400, ["no JSON"]),
        (b'{"query": "x", "score_threshold": NaN}', 422, ["finite"]),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(service: Running, body: Any, status: int, words: list[str]) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = service.http.post("/search", content=content, headers={"Content-Type": "application/json"})
    refused(answer, status, *words)


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/sources?limit=0", 422, "limit='0'"),
        ("/sources?limit=1001", 422, "1000"),
        ("/sources?limit=many", 422, "many"),
        ("/sources?limit=²", 422, "limit"),
        ("/sources?prefx=a", 422, "'prefx'"),
        ("/passages", 422, "'source'"),
        ("/passages?source=a&from=-1", 422, "from='-1'"),
        ("/passages?source=a&count=99999999999999999999", 422, "count"),
        ("/nothing", 404, "Not Found"),
        ("/search", 405, "Not Allowed"),
    ],
)
def test_what_cannot_be_read_is_said(service: Running, path: str, status: int, word: str) -> None:
    refused(service.http.get(path), status, word)


def test_other_media_types_are_refused(service: Running) -> None:
    """A page of another site may send these without being asked (a "simple request")."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = service.http.post("/search", content=b'{"query": "x"}', headers={"Content-Type": kind})
        refused(answer, 400, "application/json")


def test_health_and_metrics(service: Running) -> None:
    health = good(service.http.get("/health"))
    assert health["status"] == "ok"
    assert (health["collection"], health["embed_model"], health["rerank_model"]) == ("docs", "tiny", "tiny")
    assert health["rows"] == service.service.main.store.count()
    service.search(QUESTIONS[0])
    service.http.get("/nothing/of/the/kind")
    text = service.http.get("/metrics").text
    assert 'qwen3_rag_requests_total{route="/search",status="200"} 1.0' in text
    assert 'route="other",status="404"' in text
    assert "of/the/kind" not in text
    assert "qwen3_rag_waiting 0.0" in text
    assert httpx.get(f"{service.url}/health").headers.get("server") is None
