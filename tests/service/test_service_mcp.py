"""`/mcp` as official clients meet it: the SDK's and LlamaIndex's, over HTTP, with a token, within a scope."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ResourceTemplateReference
from pydantic import SecretStr
from qwen3_rag import Models, RagVectorStore, Session
from qwen3_rag.agents.tools import tools_of
from qwen3_rag.config import RagConfig
from qwen3_rag.serve.mcp_server import make_server
from support.openai_server import OpenAIServer, Reply, Request, ToolCall
from support.seeds import examples
from support.service import Running, refused

from .conftest import Serving, llm_of

# LlamaIndex's agents look at every attribute they have.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields:pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_:pydantic.warnings.PydanticDeprecatedSince211"),
]
TOKEN = "a-token-for-the-tests"
SECRET = "swordfish"


@asynccontextmanager
async def connected(service: Running, token: str | None = None) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{service.url}/mcp", http_client=http)) as client,
    ):
        yield client


async def test_the_sdks_client_calls_every_tool(service: Running) -> None:
    async with connected(service) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} >= {"search", "ask", "get_passages", "describe_collection", "list_sources"}
        found = await client.call_tool("search", {"query": "What does BM25 count?", "top_n": 1, "filters": None})
        row = found.structured_content["results"][0]
        assert row["source"] in ("knowledge/retrieval.md", "blue/secrets.md")
        part = await client.call_tool("get_passages", {"source": row["source"], "from": row["position"], "count": 1})
        assert part.structured_content["passages"][0]["id"] == row["id"]
        about = await client.call_tool("describe_collection", {})
        assert "blue" in about.content[0].text
        assert (await client.read_resource(found.content[1].uri)).contents[0].text.count("<passage ") >= 1


async def test_no_token_no_answer(serving: Serving) -> None:
    service = serving(token=SecretStr(TOKEN))
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for wrong in ({}, {"Authorization": "Bearer another"}, {"Authorization": TOKEN}):
        async with httpx.AsyncClient(headers=wrong) as http:
            answer = await http.post(f"{service.url}/mcp", json=call)
        refused(answer, 401)
        assert "search" not in answer.text
    async with connected(service, TOKEN) as client:
        assert not (await client.call_tool("list_sources", {})).is_error


async def test_an_agent_reads_on_over_http(service: Running, direct: Session) -> None:
    client = BasicMCPClient(f"{service.url}/mcp")
    tools = await McpToolSpec(client).to_tool_list_async()
    try:
        await reads_on(tools, direct)
    finally:
        await client.http_client.aclose()


async def test_an_agent_reads_on_with_the_tools_of_its_own_process(direct: Session) -> None:
    await reads_on([tool.to_function_tool() for tool in tools_of(direct)], direct)


PASSAGE = re.compile(r"(?s)<passage (?P<names>[^>]*)>\n(?P<text>.*?)\n</passage>")
ASKED = "What is fine-tuning a poor way to store?"
QUESTION = "What stands behind the passage about fine-tuning?"


def reader(request: Request) -> Reply:
    """A model that searches, reads the passage behind the best one, and quotes it with its place, all from what it has
    been sent."""
    results = [text_of(message) for message in request.messages if message["role"] == "tool"]
    if not results:
        return Reply(tool_calls=[ToolCall("search", {"query": ASKED, "top_n": 1})])
    found = PASSAGE.search(results[-1])
    if found is None:
        return Reply(f"Nothing was found: {results[-1]}")
    names = dict(re.findall(r'(\w+)="([^"]*)"', found["names"]))
    if len(results) == 1:
        wanted = {"source": names["source"], "from": int(names["position"]) + 1, "count": 1}
        return Reply(tool_calls=[ToolCall("get_passages", wanted)])
    return Reply(f"{found['text']} ({names['source']}, {names['heading']}, passage {names['position']})")


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    return text.replace("\\n", "\n")  # LlamaIndex's MCP client shows results by their repr


async def reads_on(tools: list[Any], direct: Session) -> None:
    hit = direct.search(ASKED, top_n=1).best[0]
    assert hit.position is not None
    behind = direct.show(hit.source, hit.position + 1, 1).passages[0]
    with OpenAIServer(reader) as server:
        llm = llm_of(server)
        handler = FunctionAgent(tools=tools, llm=llm).run(QUESTION)
        calls = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
        said = str(await handler)
    assert [one.tool_name for one in calls] == ["search", "get_passages"]
    assert calls[1].tool_kwargs == {"source": hit.source, "from": hit.position + 1, "count": 1}
    heading = str(behind.header_path).replace(">", "&gt;")
    assert said == f"{behind.text.strip()} ({behind.source}, {heading}, passage {behind.position})"


CRAFTED = ["blue/secrets.md", "blue/", "blue", "../blue/secrets.md", "blue%2Fsecrets.md", "' or team == 'blue", "", "x"]


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.one_of(st.sampled_from(CRAFTED), st.text(max_size=10)),
    collection=st.one_of(st.none(), st.sampled_from(["docs", "docs__catalog", "x"]), st.text(max_size=5)),
)
@example(source="blue/secrets.md", collection=None)
@example(source="blue/secrets.md", collection="docs")
async def test_no_resource_is_read_outside_a_scope(
    source: str, collection: str | None, config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    scoped = Session(config, store, models, scope=["team=red"])
    uri = f"doc://{source}" + (f"?collection={collection}" if collection is not None else "")
    async with Client(make_server(scoped)) as client:
        for one in (uri, "collection://docs"):
            with suppress(MCPError, ValueError):
                read = await client.read_resource(one)
                assert SECRET not in str(read)
                assert "blue" not in str(read)
        done = await client.complete(
            ResourceTemplateReference(uri="doc://{+source}{?collection}"), {"name": "source", "value": source}
        )
        assert not [name for name in done.completion.values if not name.startswith("knowledge/")]
