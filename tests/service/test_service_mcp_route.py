"""`/mcp`: LlamaIndex's own MCP client over the service's HTTP, with its token, beside its other callers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from pydantic import SecretStr
from support.service import Running, refused

from .conftest import Serving

QUESTIONS = [
    ("What does an embedded database lock while it is open?", "knowledge/milvus.md"),
    ("What does BM25 count in a passage?", "knowledge/retrieval.md"),
    ("What is fine-tuning a poor way to store?", "knowledge/rag.md"),
]


async def tools_of(client: BasicMCPClient) -> dict[str, Any]:
    return {tool.metadata.get_name(): tool for tool in await McpToolSpec(client).to_tool_list_async()}


def sources_of(output: Any) -> list[str]:
    return [row["source"] for row in output.raw_output.structured_content["results"]]


@pytest.fixture
def guarded(serving: Serving) -> Running:
    return serving(token=SecretStr("correct-horse"), running=4)


async def test_several_clients_at_once_beside_plain_searches(guarded: Running) -> None:
    headers = {"Authorization": "Bearer correct-horse"}
    clients = [BasicMCPClient(f"{guarded.url}/mcp", headers=headers) for _ in range(3)]
    searches = [(await tools_of(client))["search"] for client in clients]
    asked = [QUESTIONS[i % 3] for i in range(24)]
    plain = asyncio.gather(*(asyncio.to_thread(guarded.search, question) for question, _ in QUESTIONS * 3))
    found = await asyncio.gather(
        *(searches[i % 3].acall(query=question, filters={"team": "red"}) for i, (question, _) in enumerate(asked))
    )
    assert [sources_of(one)[0] for one in found] == [source for _, source in asked]
    assert all(one["reranked"] for one in await plain)
    for client in clients:
        await client.http_client.aclose()


async def test_no_token_no_tools(guarded: Running) -> None:
    client = BasicMCPClient(f"{guarded.url}/mcp")
    with pytest.raises(BaseExceptionGroup) as raised:
        await tools_of(client)
    assert "error response" in repr(raised.value)
    await client.http_client.aclose()


def test_what_is_no_call_is_refused(guarded: Running) -> None:
    for method in ("PUT", "GET", "DELETE"):
        refused(guarded.http.request(method, "/mcp"), 405, "POST")
    answer = guarded.http.post("/mcp", content=b"{", headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
