"""The tool `list_sources`: which documents there are."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from qwen3_rag.agents.results import Sources, listed
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.session import Session

LIST_SOURCES = "List the documents of the collection with the number of their passages, by name, as JSON."


class ListArguments(BaseModel):
    """Arguments of `list_sources`, as the model sees them."""

    model_config = ConfigDict(extra="forbid")

    prefix: Annotated[str, Field(description="Only sources that begin like this, such as docs/.")] = ""
    limit: Annotated[int, Field(ge=1, le=1000, description="How many to list.")] = 100


def list_tool(session: Session) -> AgentTool:
    """`list_sources` of a session's collection."""

    def run(given: ListArguments) -> Sources:
        return listed(session.sources(given.prefix), given.limit)

    async def arun(given: ListArguments) -> Sources:
        return await asyncio.to_thread(run, given)

    return AgentTool("list_sources", LIST_SOURCES, ListArguments, Sources, run, arun)
