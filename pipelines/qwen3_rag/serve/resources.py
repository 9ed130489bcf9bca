"""Documents as MCP resources: for hosts that let people attach them, and behind the links that results carry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.server.mcpserver.resources import FunctionResource, ResourceSecurity
from mcp.types import Completion, ResourceLink, ResourceTemplateReference

from qwen3_rag.agents.describing import describe_tool
from qwen3_rag.agents.reading import read_part
from qwen3_rag.documents.invisible import visible
from qwen3_rag.errors import ConfigError
from qwen3_rag.session import Session

TEMPLATE = "doc://{+source}{?collection}"
MAX_CHARS = 100_000
"""Of a document that is read as a resource: what a host attaches, a person has chosen."""
MAX_PASSAGES = 500
MAX_COMPLETIONS = 100
TEXT = "text/plain"


def add_resources(server: MCPServer[Any], sessions: Mapping[str, Session]) -> None:
    """Offer every document by its name, completion of names, and each collection's description."""
    default = next(iter(sessions))

    async def read(source: str, collection: str = "") -> str:
        session = sessions.get(collection or default)
        if session is None:
            raise ResourceNotFoundError(f"no collection {collection[:80]!r}; there is {', '.join(sessions)}")
        try:
            return str(await asyncio.to_thread(read_part, session, source, 0, MAX_PASSAGES, MAX_CHARS))
        except ConfigError as error:
            raise ResourceNotFoundError(str(error)) from error

    server.resource(
        TEMPLATE,
        name="document",
        title="A document of the collection",
        description="A document's passages in their order, by its name, such as doc://docs/faq.md.",
        mime_type=TEXT,
        # Names are looked up in the collection, no file is opened by them; some begin with a slash.
        security=ResourceSecurity(exempt_params={"source"}),
    )(read)
    for name, session in sessions.items():
        _add_description(server, name, session)

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(ref: Any, argument: Any, context: Any) -> Completion | None:
        if not isinstance(ref, ResourceTemplateReference):
            return None
        chosen = (context.arguments or {}).get("collection") if context else None
        session = sessions.get(chosen or default)
        if argument.name == "collection":
            found = sorted(one for one in sessions if one.startswith(argument.value))
        elif argument.name == "source" and session is not None:
            found = sorted(await asyncio.to_thread(session.sources, argument.value))
        else:
            return None
        return Completion(values=found[:MAX_COMPLETIONS], total=len(found), has_more=len(found) > MAX_COMPLETIONS)


def links(sources: Iterable[str], collection: str | None = None) -> list[ResourceLink]:
    """Links to the documents of these names, each once. `collection` is named where it is not the default one."""
    query = f"?collection={collection}" if collection else ""
    return [
        ResourceLink(uri=f"doc://{quote(source)}{query}", name=visible(source), mime_type=TEXT)
        for source in dict.fromkeys(sources)
        if source
    ]


def _add_description(server: MCPServer[Any], name: str, session: Session) -> None:
    tool = describe_tool(session)

    async def read() -> str:
        return str(await tool.acall())

    server.add_resource(
        FunctionResource(
            uri=f"collection://{name}",
            name=name,
            title=f"What collection {name} holds",
            description=session.config.collections.get(name) or tool.description,
            mime_type=TEXT,
            fn=read,
        )
    )
