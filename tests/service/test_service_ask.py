"""`/ask`: whole and as a stream, over a language model on real HTTP; what happens when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from qwen3_rag import Session
from support.grounded_model import grounded
from support.openai_server import OpenAIServer, Reply
from support.service import Running, events, good, refused

from .conftest import Serving, llm_of

QUESTION = "What does BM25 count in a passage?"


@pytest.fixture
def answering(serving: Serving) -> Iterator[Running]:
    with OpenAIServer(grounded) as server:
        yield serving(llm=llm_of(server))


def stream(service: Running, **fields: Any) -> list[tuple[str, Any]]:
    with service.http.stream("POST", "/ask", json={"stream": True, **fields}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(events(answer.iter_lines()))


def test_an_answer_with_its_sources(answering: Running, direct: Session) -> None:
    body = good(answering.http.post("/ask", json={"query": QUESTION, "top_n": 2, "filters": ["team=red"]}))
    passages = direct.search(QUESTION, top_n=2, filters=["team=red"]).to_json()
    assert {name: body[name] for name in passages} == json.loads(json.dumps(passages))
    assert body["answer"].startswith("BM25 counts how often")
    assert [one["number"] for one in body["sources"]] == [1, 2]


def test_a_stream_is_passages_then_pieces_then_all_of_it(answering: Running) -> None:
    found = stream(answering, query=QUESTION)
    names = [name for name, _ in found]
    assert names[0] == "passages"
    assert names[-1] == "done"
    assert set(names[1:-1]) == {"token"}
    whole = found[-1][1]
    assert "".join(data["text"] for name, data in found if name == "token") == whole["answer"]
    assert whole == good(answering.http.post("/ask", json={"query": QUESTION}))
    assert {name: whole[name] for name in found[0][1]} == found[0][1]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("no such model", status=404), ["404", "no such model"]),
        (Reply("wrong key", status=401), ["refused the key"]),
        (Reply(""), ["wrote nothing"]),
    ],
    ids=["404", "401", "nothing"],
)
def test_a_failing_model_is_a_502_with_the_passages(serving: Serving, reply: Reply, words: list[str]) -> None:
    with OpenAIServer(lambda _: reply) as server:
        service = serving(llm=llm_of(server))
        body = refused(service.http.post("/ask", json={"query": QUESTION}), 502, *words)
        assert body["result"]["answer"] is None
        assert body["result"]["reranked"]
        found = stream(service, query=QUESTION)
        assert found[0][0] == "passages"
        assert found[-1][0] == "error"
        assert found[-1][1]["error"]["type"] == "language_model_error"
        assert found[-1][1]["result"] == body["result"]


def test_a_stream_that_breaks_off_is_an_error(serving: Serving) -> None:
    with OpenAIServer(lambda _: Reply("BM25 counts how often words occur [1].", cut_after=2)) as server:
        found = stream(serving(llm=llm_of(server)), query=QUESTION)
    assert [name for name, _ in found][-1] == "error"


def test_no_model_is_a_502_and_nothing_found_a_404(service: Running) -> None:
    refused(service.http.post("/ask", json={"query": QUESTION}), 502, "OPENAI_API_KEY")
    body = refused(service.http.post("/ask", json={"query": QUESTION, "filters": ["team=green"]}), 404, "no passage")
    assert body["result"]["dense"] == []


def test_what_is_wrong_before_the_stream_has_its_status(answering: Running) -> None:
    for fields, status in (
        ({"query": ""}, 400),
        ({"query": "x", "filters": ["a"]}, 400),
        ({"collection": "a", "query": "x"}, 404),
    ):
        refused(answering.http.post("/ask", json={"stream": True, **fields}), status)


def test_a_client_that_leaves_a_stream_ends_it(serving: Serving) -> None:
    with OpenAIServer(lambda _: Reply("word " * 50, delay=0.5)) as server:
        service = serving(llm=llm_of(server), running=1, waiting=0)
        for _ in range(3):
            with httpx.stream("POST", f"{service.url}/ask", json={"query": QUESTION, "stream": True}) as answer:
                assert next(events(answer.iter_lines()))[0] == "passages"
            assert good(service.http.get("/health"))
        deadline_free = stream(service, query=QUESTION) if service.service.turns.running == 0 else None
        assert deadline_free is None or deadline_free[-1][0] == "done"
