"""The tools over a session, for agents and for servers. A new tool is a file of its own and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llama_index.core.llms import LLM
from llama_index.core.tools import FunctionTool

from qwen3_rag.agents.arguments import MAX_TOP_N
from qwen3_rag.agents.choosing import among
from qwen3_rag.agents.describing import describe_tool
from qwen3_rag.agents.listing import list_tool
from qwen3_rag.agents.outlining import outline_tool
from qwen3_rag.agents.reading import read_tool
from qwen3_rag.agents.retrieval import ask_tool, search_tool
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.config import RagConfig
from qwen3_rag.explain import explain
from qwen3_rag.models import Models
from qwen3_rag.query.stages import TwoStages
from qwen3_rag.session import Session
from qwen3_rag.store.vector_store import RagVectorStore

MakeTool = Callable[[Session], AgentTool]

AGENT_TOOLS: Sequence[MakeTool] = (
    lambda session: search_tool(_stages(session)),
    lambda session: ask_tool(_stages(session), session.writer),
    read_tool,
    describe_tool,
    outline_tool,
)
"""What `make_tools` gives an agent of this process."""

SERVER_TOOLS: Sequence[MakeTool] = (*AGENT_TOOLS, list_tool)
"""What a server offers to agents that know nothing of the collection."""


def make_tools(
    config: RagConfig, store: RagVectorStore, models: Models, *, llm: LLM | None = None
) -> list[FunctionTool]:
    """The `AGENT_TOOLS` over the configured collection. Without `llm` the configured one answers.

    >>> agent = FunctionAgent(tools=make_tools(config, store, models), llm=OpenAI("gpt-4o-mini"))
    >>> print(await agent.run("How is data stored in Milvus?"))
    """
    session = Session(config, store, models, llm=llm)
    return [tool.to_function_tool() for tool in tools_of(session)]


def tools_of(session: Session, makers: Sequence[MakeTool] = AGENT_TOOLS) -> list[AgentTool]:
    """The tools of an open session, which explain the errors of its language model too."""

    def sentence(error: Exception) -> str | None:
        known = explain(error, session.config)
        return str(known) if known else None

    return [replace(make(session), explain=sentence) for make in makers]


def tools_among(sessions: Mapping[str, Session], makers: Sequence[MakeTool] = AGENT_TOOLS) -> list[AgentTool]:
    """The tools of open sessions by collection, the first one being meant when none is named."""
    if len(sessions) == 1:
        return tools_of(next(iter(sessions.values())), makers)
    about = next(iter(sessions.values())).config.collections
    by_collection = {name: tools_of(session, makers) for name, session in sessions.items()}
    return [
        among({name: tools[number] for name, tools in by_collection.items()}, about) for number in range(len(makers))
    ]


def _stages(session: Session) -> TwoStages:
    """The session's, with no more passages than an agent is to read."""
    return replace(session.stages, top_n=min(session.stages.top_n, MAX_TOP_N))
