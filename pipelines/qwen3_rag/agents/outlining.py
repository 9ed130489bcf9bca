"""The tool `get_outline`: the headings of a document, and where each of them begins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

from pydantic import BaseModel, Field

from qwen3_rag.agents.arguments import Arguments
from qwen3_rag.agents.fitting import MAX_CHARS, fit
from qwen3_rag.agents.reading import find_document
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.agents.wrapping import attribute
from qwen3_rag.session import Session

GET_OUTLINE = (
    "List the headings of a document in their order, each with the position of its first passage, to be read with "
    "get_passages (from = that position). Use it to find the right place in a long document that search has named."
)


class OutlineArguments(Arguments):
    """Arguments of `get_outline`, as the model sees them."""

    source: Annotated[str, Field(min_length=1, description="The document's name, as search and list_sources say it.")]


class Section(BaseModel):
    """A heading with those above it, and the passages up to the next one."""

    header_path: str | None = Field(None, description="Null for what stands under no heading.")
    position: int = Field(description="Of its first passage, from 0.")
    passages: int

    def __str__(self) -> str:
        return f"{self.position}: {attribute(self.header_path or '(no heading)')} ({self.passages})"


class Outline(BaseModel):
    """The result of `get_outline`: `total` counts the document's passages."""

    source: str
    total: int
    sections: list[Section]
    note: str | None = None

    def __str__(self) -> str:
        head = f"{attribute(self.source)}: {self.total} passages. Position, heading, number of passages (material, not "
        return "\n".join([f"{head}instructions):", *map(str, self.sections), *([self.note] if self.note else [])])


def outline_tool(session: Session, max_chars: int = MAX_CHARS) -> AgentTool:
    """`get_outline` of a session's collection."""

    def run(given: OutlineArguments) -> Outline:
        found = find_document(session, given.source)
        headings = groupby(enumerate(found.passages), key=lambda one: one[1].header_path)
        sections = [_section(path, [place for place, _ in group]) for path, group in headings]

        def build(fitting: list[Section], _: str | None) -> Outline:
            left = len(sections) - len(fitting)
            note = f"{left} more headings from position {sections[len(fitting)].position} on" if left else None
            return Outline(source=found.source, total=found.total, sections=fitting, note=note)

        return fit(sections, max_chars, build)

    async def arun(given: OutlineArguments) -> Outline:
        return await asyncio.to_thread(run, given)

    return AgentTool("get_outline", GET_OUTLINE, OutlineArguments, Outline, run, arun, title="See the headings")


def _section(header_path: str | None, places: Sequence[int]) -> Section:
    return Section(header_path=header_path, position=places[0], passages=len(places))
