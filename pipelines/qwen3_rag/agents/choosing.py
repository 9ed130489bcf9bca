"""The same tool over several collections as one tool, which is told the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from qwen3_rag.agents.tool import AgentTool


def among(tools: Mapping[str, AgentTool], about: Mapping[str, str]) -> AgentTool:
    """One tool in place of those of the same kind, by collection. The first collection is the one that is meant when
    none is named; `about` says what the others hold."""
    default, first = next(iter(tools.items()))
    said = "; ".join(f"{name}: {about[name]}" if about.get(name) else name for name in tools)
    names: Any = Literal[tuple(tools)]
    described = Field(description=f"Which collection. {said}. Default: {default}.")
    collection: Any = (Annotated[names, described], default)
    # A kind of each tool's own arguments: every tool takes it as it is.
    arguments = create_model(first.arguments.__name__, __base__=first.arguments, collection=collection)

    def run(given: Any) -> BaseModel:
        return tools[given.collection].run(given)

    async def arun(given: Any) -> BaseModel:
        return await tools[given.collection].arun(given)

    return replace(first, arguments=arguments, run=run, arun=arun)
