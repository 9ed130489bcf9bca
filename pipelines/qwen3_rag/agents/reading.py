"""The tool `get_passages`: a document in its order, from any place on."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from qwen3_rag.agents.arguments import MAX_COUNT, Arguments
from qwen3_rag.agents.fitting import MAX_CHARS
from qwen3_rag.agents.results import DocumentPart, document_part
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.documents.invisible import visible
from qwen3_rag.errors import ConfigError
from qwen3_rag.query.rows import DocumentPassages
from qwen3_rag.session import Session

GET_PASSAGES = (
    "Read a document of the collection in its order: count passages from a position on. Use it to read on behind a "
    "passage that search has found (from = its position + 1), or around it (from = its position - 2, count = 5). "
    "Name source and heading of what you use."
)


class ReadArguments(Arguments):
    """Arguments of `get_passages`, as the model sees them."""

    source: Annotated[str, Field(min_length=1, description="The document's name, as search and list_sources say it.")]
    start: Annotated[
        int, Field(alias="from", ge=0, description="Position of the first passage, from 0. Default: the beginning.")
    ] = 0
    count: Annotated[int, Field(ge=1, le=MAX_COUNT, description="How many passages. Default: 5.")] = 5


def read_tool(session: Session, max_chars: int = MAX_CHARS) -> AgentTool:
    """`get_passages` of a session's collection."""

    def run(given: ReadArguments) -> DocumentPart:
        return read_part(session, given.source, given.start, given.count, max_chars)

    async def arun(given: ReadArguments) -> DocumentPart:
        return await asyncio.to_thread(run, given)

    return AgentTool("get_passages", GET_PASSAGES, ReadArguments, DocumentPart, run, arun, title="Read on")


def read_part(session: Session, source: str, start: int, count: int, max_chars: int) -> DocumentPart:
    """Passages of a document, see `find_document`."""
    return document_part(find_document(session, source, start, count), start, max_chars)


def find_document(session: Session, source: str, start: int = 0, count: int | None = None) -> DocumentPassages:
    """Passages of a document by its name, or by its name without the invisible letters in it, as it is shown."""
    try:
        return session.show(source, start, count)
    except ConfigError:
        hidden = [one for one in session.sources() if one != visible(one) == source]
        if len(hidden) != 1:
            raise
        return session.show(hidden[0], start, count)
