"""The MCP server as clients meet it: a process of its own, LlamaIndex's own MCP client, real pipes and real HTTP."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import qwen3_rag
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from mcp import Client, ClientSession, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ResourceLink, ResourceTemplateReference
from qwen3_rag import RagConfig, Session
from qwen3_rag.agents.results import listed as fit
from qwen3_rag.agents.wrapping import MATERIAL
from qwen3_rag.serve.mcp_server import make_server
from support.command import ingested
from support.servers import served

SCRIPT = str(Path(sys.executable).parent / "qwen3-rag")
QUESTIONS = [
    ("What does an embedded database lock while it is open?", "knowledge/milvus.md"),
    ("What does BM25 count in a passage?", "knowledge/retrieval.md"),
    ("What is fine-tuning a poor way to store?", "knowledge/rag.md"),
]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a database with the bundled knowledge base."""
    folder = tmp_path_factory.mktemp("mcp")
    shutil.copytree(Path(qwen3_rag.__file__).parent / "knowledge", folder / "knowledge")
    options = ["--uri", str(folder / "mcp.db"), "--embed-model", "tiny"]
    ingested(folder / "knowledge", ".", *options)
    return options


@contextlib.asynccontextmanager
async def session_over_stdio(options: list[str], log: Path) -> AsyncIterator[ClientSession]:
    parameters = StdioServerParameters(command=SCRIPT, args=["mcp", *options], env=dict(os.environ))
    with log.open("w") as errors:
        async with stdio_client(parameters, errlog=errors) as streams, ClientSession(*streams) as session:
            await session.initialize()
            yield session


async def tools_of(session: Any) -> dict[str, FunctionTool]:
    return {tool.metadata.get_name(): tool for tool in await McpToolSpec(session).to_tool_list_async()}


def rows(output: Any) -> list[dict[str, Any]]:
    return list(output.raw_output.structured_content["results"])


async def test_a_client_over_stdio(options: list[str], llm: OpenAI, tmp_path: Path) -> None:
    """One server for all of this: it takes seconds to start."""
    llm_options = ["--llm-base-url", str(llm.api_base)]
    async with session_over_stdio([*options, *llm_options], tmp_path / "log") as session:
        tools = await tools_of(session)
        assert set(tools) >= {"search", "ask", "get_passages", "describe_collection", "list_sources"}
        properties = tools["search"].metadata.get_parameters_dict()["properties"]
        assert list(properties) == ["query", "top_n", "filters", "instruction", "detail", "rerank", "exclude"]
        assert all(one["description"] for one in properties.values())
        offered = (await session.list_tools()).tools
        assert all(one.title and one.annotations and one.annotations.read_only_hint for one in offered)

        # 32 at once: each gets the answer to its own question.
        asked = [QUESTIONS[i % 3] for i in range(32)]
        found = await asyncio.gather(*(tools["search"].acall(query=question, top_n=2) for question, _ in asked))
        assert [rows(one)[0]["source"] for one in found] == [source for _, source in asked]
        text = found[0].raw_output.content[0].text
        assert all(f"\n{row['text']}\n</passage>" in text for row in rows(found[0]))
        assert len(text) < len(json.dumps(found[0].raw_output.structured_content))

        for filters in ({"source": "knowledge/rag.md"}, ["source=knowledge/rag.md"], '["source=knowledge/rag.md"]'):
            filtered = await tools["search"].acall(query=QUESTIONS[0][0], filters=filters)
            assert {row["source"] for row in rows(filtered)} == {"knowledge/rag.md"}
        hit = rows(found[0])[0]
        exclude = [row["id"] for row in rows(found[0])]
        others = await tools["search"].acall(query=QUESTIONS[0][0], top_n=2, exclude=exclude, detail="concise")
        assert len(rows(others)) == 2
        assert not {row["id"] for row in rows(others)} & set(exclude)

        links = [one for one in found[0].raw_output.content[1:] if isinstance(one, ResourceLink)]
        assert len(links) == len({row["source"] for row in rows(found[0])}) == len(found[0].raw_output.content) - 1
        assert (links[0].name, links[0].uri) == (hit["source"], f"doc://{hit['source']}")
        document = await session.read_resource(links[0].uri)
        assert hit["text"] in document.contents[0].text
        assert MATERIAL in document.contents[0].text

        part = await tools["get_passages"].acall(**{"source": hit["source"], "from": hit["position"], "count": 1})
        assert part.raw_output.structured_content["passages"][0]["text"] == hit["text"]

        answer = (await tools["ask"].acall(query=QUESTIONS[1][0])).raw_output.structured_content
        assert answer["answer"].startswith("BM25 counts how often")
        assert [one["source"] for one in answer["sources"] if one["cited"]] == ["knowledge/retrieval.md"]

        listed = (await tools["list_sources"].acall()).raw_output.structured_content
        assert listed["total"] == 10
        assert {one["source"] for one in listed["sources"]} >= {"knowledge/milvus.md", "knowledge/nihongo.md"}
        few = (await tools["list_sources"].acall(prefix="knowledge/r", limit=1)).raw_output.structured_content
        assert [one["source"] for one in few["sources"]] == ["knowledge/rag.md"]
        assert "1 more" in few["note"]

        for name, schema in ((one.name, one.input_schema) for one in offered if one.name != "ask"):
            assert "anyOf" not in json.dumps(schema)
            nulls = dict.fromkeys(schema["properties"])
            needed = {"query": QUESTIONS[0][0], "source": "knowledge/rag.md"}
            given = {one: needed[one] for one in schema.get("required", [])}
            with_nulls, without = [await session.call_tool(name, one) for one in ({**nulls, **given}, given)]
            assert not with_nulls.is_error, with_nulls
            assert with_nulls.structured_content == without.structured_content

        for arguments, word in (
            ({"query": " "}, "empty"),
            ({"query": "x", "top_n": 99}, "top_n=99"),
            ({"query": "x", "limit": 3}, "'limit' is not an argument"),
            ({}, "'query' is missing"),
        ):
            failed = await session.call_tool("search", arguments)
            assert failed.is_error
            assert word in failed.content[0].text
            assert "Traceback" not in failed.content[0].text
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_a_client_of_the_new_protocol_learns_how_long_lists_hold(options: list[str]) -> None:
    """The protocol of 2026-07-28 has it; a handshake, as above, settles on one that has not."""
    with Session(RagConfig(uri=options[1], embed_model="tiny")) as session:
        async with Client(make_server(session)) as client:
            listed = await client.list_tools()
    assert (listed.ttl_ms, listed.cache_scope) == (3_600_000, "private")


async def test_documents_as_resources(options: list[str], tmp_path: Path) -> None:
    async with session_over_stdio(options, tmp_path / "log") as session:
        [template] = (await session.list_resource_templates()).resource_templates
        assert template.uri_template == "doc://{+source}{?collection}"
        reference = ResourceTemplateReference(uri=template.uri_template)
        completed = await session.complete(reference, {"name": "source", "value": "knowledge/r"})
        assert completed.completion.values == ["knowledge/rag.md", "knowledge/retrieval.md"]
        [about] = (await session.list_resources()).resources
        assert about.uri == "collection://docs"
        assert (await session.read_resource(about.uri)).contents[0].text.startswith("Collection docs\n10 documents")
        whole = (await session.read_resource("doc://knowledge/rag.md")).contents[0].text
        assert whole.count("<passage ") == whole.count("</passage>") > 3
        for uri, words in (
            ("doc://knowledge/none.md", "no document"),
            ("doc://..%2F..%2Fetc/passwd", "no document"),
            ("doc://knowledge/rag.md?collection=other", "no collection 'other'"),
        ):
            with pytest.raises(MCPError, match=words):
                await session.read_resource(uri)
        # LlamaIndex's client makes tools of resources, too.
        made = await McpToolSpec(session, include_resources=True).to_tool_list_async()
        assert len(made) == 6 + 2
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.fixture
def with_recipes(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same with a second collection, both of them described."""
    (tmp_path / "bakery").mkdir()
    (tmp_path / "bakery" / "bread #1.md").write_text("# Bread\n\nYeast makes the dough rise before it is baked.")
    more = [*options, "--collection", "recipes"]
    ingested(tmp_path, "bakery", *more)
    about = {"docs": "How retrieval works", "recipes": "How to bake bread"}
    monkeypatch.setenv("QWEN3_RAG_COLLECTIONS", json.dumps(about))
    return options


async def test_several_collections_in_one_server(with_recipes: list[str], tmp_path: Path) -> None:
    async with session_over_stdio(with_recipes, tmp_path / "log") as session:
        tools = await tools_of(session)
        collection = tools["search"].metadata.get_parameters_dict()["properties"]["collection"]
        assert collection["enum"] == ["docs", "recipes"]
        assert "recipes: How to bake bread" in collection["description"]
        found = await tools["search"].acall(query="What makes dough rise?", collection="recipes")
        assert [row["source"] for row in rows(found)] == ["bakery/bread #1.md"]
        link = found.raw_output.content[1]
        assert link.uri == "doc://bakery/bread%20%231.md?collection=recipes"
        assert "Yeast" in (await session.read_resource(link.uri)).contents[0].text
        here = await tools["search"].acall(query="What makes dough rise?", top_n=20)
        assert "bakery/bread #1.md" not in {row["source"] for row in rows(here)}
        said = await tools["describe_collection"].acall(collection="recipes")
        assert said.raw_output.content[0].text.startswith("Collection recipes: How to bake bread\n1 documents")
        wrong = await session.call_tool("search", {"query": "x", "collection": "other"})
        assert wrong.is_error
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_an_agent_over_stdio_searches_for_the_plain_question(
    options: list[str], llm: OpenAI, tmp_path: Path
) -> None:
    async with session_over_stdio(options, tmp_path / "log") as session:
        agent = FunctionAgent(tools=[(await tools_of(session))["search"]], llm=llm)
        for question, source in QUESTIONS:
            handler = agent.run(question)
            calls = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
            assert [one.tool_kwargs for one in calls] == [{"query": question}]
            assert rows(calls[0].tool_output)[0]["source"] == source
            await handler


@pytest.fixture
def http_server(options: list[str], tmp_path: Path) -> Iterator[str]:
    with served([SCRIPT, "mcp", *options], tmp_path / "log") as port:
        yield f"http://127.0.0.1:{port}/mcp"
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_several_clients_share_one_lite_database_over_http(http_server: str, options: list[str]) -> None:
    clients = [BasicMCPClient(http_server) for _ in range(4)]
    searches = [(await tools_of(client))["search"] for client in clients]
    asked = [QUESTIONS[i % 3] for i in range(32)]
    found = await asyncio.gather(*(searches[i % 4].acall(query=asked[i][0]) for i in range(32)))
    assert [rows(one)[0]["source"] for one in found] == [source for _, source in asked]
    for client in clients:
        await client.http_client.aclose()
    second = await asyncio.to_thread(
        subprocess.run, [SCRIPT, "mcp", *options], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert second.returncode == 4
    assert "in use by another process" in second.stderr
    assert "Traceback" not in second.stderr


def test_without_the_sdk_the_extra_is_named(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("")  # an `mcp` without `mcp.server.mcpserver`, as the SDK's version 1
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([SCRIPT, "mcp", *options], capture_output=True, text=True, env=environment)
    assert done.returncode == 4
    assert "pip install 'llama-index-qwen3[serve]'" in done.stderr


def test_listings_are_bounded() -> None:
    found = Counter({f"folder/{'x' * 100}/{i}.md": 1 for i in range(1_000)})
    listed = fit(found, 1_000)
    assert listed.total == 1_000
    assert 10 < len(listed.sources) < 1_000
    assert len(listed.model_dump_json()) <= 12_000
    assert listed.note is not None
