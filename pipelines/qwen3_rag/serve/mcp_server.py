"""The knowledge base as an MCP server: `search`, `ask` and `list_sources` for any MCP client.

One process owns the database (Milvus Lite serves a single one) and the models; clients talk to it over its stdin and
stdout, or, several at once, over HTTP on the loopback interface.
"""

import asyncio
import json
from collections import Counter
from importlib.metadata import version
from typing import Annotated, Any

from llama_index.core.tools import FunctionTool, ToolOutput
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from qwen3_rag.agents.arguments import Filters, Instruction, Query, TopN
from qwen3_rag.agents.results import MAX_CHARS, Answer, Passages, ToolError, failure
from qwen3_rag.agents.tools import make_tools
from qwen3_rag.config import RagConfig
from qwen3_rag.models import Models, load_models
from qwen3_rag.store.held import PAGE
from qwen3_rag.store.held import _IteratorWarningOff as IteratorWarningOff
from qwen3_rag.store.vector_store import RagVectorStore, open_store

INSTRUCTIONS = (
    "A collection of documents. search gives passages for a question, ask a finished answer with citations, "
    "list_sources says which documents there are (their names are values for the filter 'source')."
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


class SourceCount(BaseModel):
    """A document and the number of its passages."""

    source: str
    passages: int


class Sources(BaseModel):
    """The result of `list_sources`: `total` counts all that match, also those left out."""

    sources: list[SourceCount]
    total: int
    note: str | None = None


def make_server(config: RagConfig, store: RagVectorStore, models: Models) -> MCPServer[Any]:
    """The server over an open store; `run()` serves stdin and stdout.

    >>> make_server(config, store, models).run()
    """
    server: MCPServer[Any] = MCPServer(
        "qwen3-rag", instructions=INSTRUCTIONS, version=version("llama-index-qwen3"), log_level="WARNING"
    )
    search_tool, ask_tool = make_tools(config, store, models)

    async def search(
        query: Query, top_n: TopN = None, filters: Filters = None, instruction: Instruction = None
    ) -> Annotated[CallToolResult, Passages]:
        return await _call(search_tool, query=query, top_n=top_n, filters=filters, instruction=instruction)

    async def ask(
        query: Query, top_n: TopN = None, filters: Filters = None, instruction: Instruction = None
    ) -> Annotated[CallToolResult, Answer]:
        return await _call(ask_tool, query=query, top_n=top_n, filters=filters, instruction=instruction)

    async def list_sources(
        prefix: Annotated[str, Field(description="Only sources that begin like this, such as docs/.")] = "",
        limit: Annotated[int, Field(ge=1, le=1000, description="How many to list.")] = 100,
    ) -> Annotated[CallToolResult, Sources]:
        """List the documents of the collection with the number of their passages, by name, as JSON."""
        try:
            return _result(fit(await asyncio.to_thread(count_sources, store, prefix), limit))
        except Exception as error:
            return _result(failure(error, "list_sources"))

    for tool in (search_tool, ask_tool):
        function = search if tool is search_tool else ask
        server.add_tool(function, description=tool.metadata.description, annotations=READ_ONLY)
    server.add_tool(list_sources, annotations=READ_ONLY)
    return server


def serve(config: RagConfig, port: int | None = None) -> None:
    """Open the store and serve until stdin ends, or with `port` over HTTP until interrupted.

    Raises:
        RagError: the models or the database cannot be used; nothing is served then.
    """
    models = load_models(config)
    store = open_store(config, models.identity)
    try:
        server = make_server(config, store, models)
        if port is None:
            server.run()
        else:
            # Without sessions: every request stands for itself, so clients may come and go.
            server.run("streamable-http", port=port, stateless_http=True, json_response=True)
    finally:
        store.close()


def count_sources(store: RagVectorStore, prefix: str = "") -> Counter[str]:
    """Passages by source, read page by page."""
    found: Counter[str] = Counter()
    with IteratorWarningOff():
        pages = store.client.query_iterator(
            store.collection_name, batch_size=PAGE, output_fields=["doc_id", "source"], consistency_level="Strong"
        )
        try:
            while rows := pages.next():
                found.update(row.get("source") or row["doc_id"] for row in rows)
        finally:
            pages.close()
    return Counter({name: count for name, count in found.items() if name.startswith(prefix)})


def fit(found: Counter[str], limit: int) -> Sources:
    """The first `limit` sources by name, fewer where their JSON would exceed `MAX_CHARS` characters."""
    listed = [SourceCount(source=name, passages=found[name]) for name in sorted(found)[:limit]]
    while sum(len(one.model_dump_json()) + 1 for one in listed) > MAX_CHARS - 200:
        listed = listed[: len(listed) * 3 // 4]
    left = len(found) - len(listed)
    note = f"{left} more; narrow them down with prefix" if left else None
    return Sources(sources=listed, total=len(found), note=note)


async def _call(tool: FunctionTool, **arguments: Any) -> CallToolResult:
    output: ToolOutput = await tool.acall(**arguments)
    return _result(output.raw_output)


def _result(value: BaseModel) -> CallToolResult:
    """Text for the model, the same as structured content for programs."""
    content = value.model_dump(mode="json", exclude_none=True)
    return CallToolResult(
        content=[TextContent(type="text", text=json.dumps(content, ensure_ascii=False))],
        structured_content=content,
        is_error=isinstance(value, ToolError),
    )
