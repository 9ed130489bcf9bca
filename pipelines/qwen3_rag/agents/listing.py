"""The tool `list_sources`: which documents there are."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from qwen3_rag.agents.arguments import Arguments
from qwen3_rag.agents.results import Sources, listed
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.session import Session

LIST_SOURCES = (
    "List the documents of the collection by name, each with the number of its passages. The names are values for "
    "get_passages and for the filter source."
)


class ListArguments(Arguments):
    """Arguments of `list_sources`, as the model sees them."""

    prefix: Annotated[str, Field(description="Only documents whose names begin like this, such as docs/.")] = ""
    limit: Annotated[int, Field(ge=1, le=1000, description="How many to list.")] = 100


def list_tool(session: Session) -> AgentTool:
    """`list_sources` of a session's collection."""

    def run(given: ListArguments) -> Sources:
        return listed(session.sources(given.prefix), given.limit)

    async def arun(given: ListArguments) -> Sources:
        return await asyncio.to_thread(run, given)

    return AgentTool("list_sources", LIST_SOURCES, ListArguments, Sources, run, arun, title="List documents")
