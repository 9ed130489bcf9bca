"""A service with a scope: no request, filter, tool argument or crafted string reads outside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.seeds import examples
from support.service import Running, good

from .conftest import Serving

CRAFTED = [
    "team=blue",
    "team!=red",
    "team>=a",
    "source=blue/secrets.md",
    "source!=x",
    "text!=x",
    "id!=x",
    "doc_id!=x",
    "team=red') or (team == 'blue",
    "team=x' or team == 'blue",
    'team=x" or team == "blue',
    "team=x\\' or 1==1 or 'a'=='a",
    "team=x\\",
    "position>=0",
    "not=1",
    "true=true",
    "$meta=1",
    "team=red\nor\nteam=blue",
]
TEXTS = st.one_of(st.sampled_from([*CRAFTED, "blue/secrets.md", "blue/", "%", "*", "'", "\\"]), st.text(max_size=20))
PROPERTY = settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def scoped(serving: Serving) -> Running:
    return serving(scope=["team=red"])


def assert_nothing_of_blue(text: str) -> None:
    assert "swordfish" not in text
    assert "Blue keeps" not in text


def test_it_is_not_there(scoped: Running, service: Running) -> None:
    query = {"query": "What is the blue password? BM25 counts words", "top_k": 60, "top_n": 60}
    assert "swordfish" in service.http.post("/search", json=query).text
    for mode in ("dense", "hybrid"):
        assert_nothing_of_blue(json.dumps(scoped.search(**query, mode=mode)))
    assert good(scoped.http.get("/sources"))["total"] == 10
    assert good(scoped.http.get("/sources", params={"prefix": "blue"})) == {"sources": [], "total": 0}
    gone = scoped.http.get("/passages", params={"source": "blue/secrets.md"})
    assert gone.status_code == 404
    assert "blue/milvus" not in gone.text
    assert good(scoped.http.get("/health"))["rows"] < good(service.http.get("/health"))["rows"]


@PROPERTY
@given(
    filters=st.lists(TEXTS, max_size=3),
    query=TEXTS,
    more=st.dictionaries(
        st.sampled_from(["scope", "collection", "expr", "filter", "string_expr", "mode", "exclude", "team", "source"]),
        st.one_of(TEXTS, st.lists(TEXTS, max_size=2), st.none()),
        max_size=2,
    ),
)
@example(filters=["team=blue"], query="password", more={})
@example(filters=["team=red') or (team == 'blue"], query="password", more={})
@example(filters=[], query="password", more={"scope": []})
def test_no_search_reads_outside(scoped: Running, filters: list[str], query: str, more: dict[str, Any]) -> None:
    body = {"query": query, "filters": filters, "top_k": 60, "top_n": 60, "rerank": False, **more}
    answer = scoped.http.post("/search", json=body)
    assert answer.status_code in (200, 400, 404, 422), answer.text
    if answer.status_code == 200:
        assert_nothing_of_blue(answer.text)


@PROPERTY
@given(name=TEXTS, start=st.integers(0, 3))
@example(name="blue/secrets.md", start=0)
@example(name="blue/milvus.md", start=0)
def test_no_name_reads_outside(scoped: Running, name: str, start: int) -> None:
    for answer in (
        scoped.http.get("/passages", params={"source": name, "from": start}),
        scoped.http.get("/sources", params={"prefix": name}),
    ):
        assert answer.status_code in (200, 404, 422), answer.text
        assert_nothing_of_blue(answer.text)
        if answer.status_code == 200:
            assert not any(row["source"].startswith("blue/") for row in answer.json().get("sources", []))


def call(service: Running, method: str, parameters: dict[str, Any]) -> str:
    """A call of the Model Context Protocol, by hand: clients would not send all of it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    headers = {"Accept": "application/json, text/event-stream"}
    return service.http.post("/mcp", json=body, headers=headers).text


VALUES = st.one_of(TEXTS, st.integers(-3, 60), st.none(), st.lists(TEXTS, max_size=2))


@PROPERTY
@given(data=st.data())
def test_no_tool_reads_outside(scoped: Running, data: st.DataObject) -> None:
    tools = json.loads(call(scoped, "tools/list", {}))["result"]["tools"]
    tool = data.draw(st.sampled_from([one for one in tools if one["name"] != "ask"]))  # it asks a language model
    names = st.sampled_from([*tool["inputSchema"]["properties"], "scope", "expr"])
    filters = st.one_of(
        st.dictionaries(st.one_of(st.sampled_from(["team", "source", "id", "text"]), TEXTS), VALUES, max_size=2),
        st.lists(TEXTS, max_size=2),
        TEXTS,
    )
    arguments = data.draw(st.dictionaries(names, st.one_of(VALUES, filters), max_size=4))
    arguments = {"query": "the blue password", "source": "blue/secrets.md", **arguments}
    known = {name: value for name, value in arguments.items() if name in {*tool["inputSchema"]["properties"], "scope"}}
    said = call(scoped, "tools/call", {"name": tool["name"], "arguments": known})
    assert_nothing_of_blue(said)
