"""The knowledge base as an MCP server: `search`, `ask` and `list_sources` for any MCP client.

One process owns the database (Milvus Lite serves a single one) and the models; clients talk to it over its stdin and
stdout, or, several at once, over HTTP on the loopback interface.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel

from qwen3_rag.agents.results import ToolError
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.agents.tools import SERVER_TOOLS, tools_of
from qwen3_rag.session import Session

INSTRUCTIONS = (
    "A collection of documents. search gives passages for a question, ask a finished answer with citations, "
    "list_sources says which documents there are (their names are values for the filter 'source')."
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def make_server(session: Session) -> MCPServer[Any]:
    """The server over a session; `run()` serves stdin and stdout.

    >>> make_server(session).run()
    """
    server: MCPServer[Any] = MCPServer(
        "qwen3-rag", instructions=INSTRUCTIONS, version=version("llama-index-qwen3"), log_level="WARNING"
    )
    for tool in tools_of(session, SERVER_TOOLS):
        server.add_tool(_function(tool), name=tool.name, description=tool.description, annotations=READ_ONLY)
    return server


def run_server(session: Session, port: int | None = None) -> None:
    """Open the session and serve until stdin ends, or with `port` over HTTP until interrupted.

    Raises:
        RagError: the models or the database cannot be used; nothing is served then.
    """
    server = make_server(session.open())
    if port is None:
        server.run()
    else:
        # Without sessions: every request stands for itself, so clients may come and go.
        server.run("streamable-http", port=port, stateless_http=True, json_response=True)


def _function(tool: AgentTool) -> Callable[..., Awaitable[CallToolResult]]:
    """The tool as the SDK wants it: a function whose signature says what the arguments and the result are."""

    async def call(**arguments: Any) -> CallToolResult:
        return _result(await tool.acall(**arguments))

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[field.annotation, field],
            default=inspect.Parameter.empty if field.is_required() else field.default,
        )
        for name, field in tool.arguments.model_fields.items()
    ]
    returned = Annotated[CallToolResult, tool.result]
    call.__name__ = tool.name
    call.__signature__ = inspect.Signature(parameters, return_annotation=returned)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": returned}
    return call


def _result(value: BaseModel) -> CallToolResult:
    """Text for the model, the same as structured content for programs."""
    content = value.model_dump(mode="json", exclude_none=True)
    return CallToolResult(
        content=[TextContent(type="text", text=json.dumps(content, ensure_ascii=False))],
        structured_content=content,
        is_error=isinstance(value, ToolError),
    )
