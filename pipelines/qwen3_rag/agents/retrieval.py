"""The tools `search` and `ask` over any LlamaIndex index.

What they do that LlamaIndex's `RetrieverTool` and `QueryEngineTool` do not: the question reaches the models as it is
(`RetrieverTool` searches for "input is ..."), the model may set the number of passages, filters, the instruction and
what it has read already, passages say where they stand and that they are material, results are of bounded size, and
whatever goes wrong comes back as a result that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable

from llama_index.core import VectorStoreIndex
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.tools import FunctionTool

from qwen3_rag.agents.arguments import MAX_TOP_N, SearchArguments, ToolArguments
from qwen3_rag.agents.failures import Explain
from qwen3_rag.agents.fitting import MAX_CHARS, MIN_CHARS
from qwen3_rag.agents.results import Answer, Passages, answer, passages
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.query.answer import make_prompt
from qwen3_rag.query.answering import AnswerWriter
from qwen3_rag.query.stages import Mode, TwoStages

SEARCH = (
    "Search the document collection and get the passages that best answer a question, best first, each between "
    "<passage> tags with its id, source, position in the document, heading path, page and score. Higher scores are "
    "better. Quote from the texts and name source and heading. To read what stands before or behind a passage, call "
    "get_passages with its source and position; to see other passages, call search again with exclude. Use it for "
    "facts to be looked up; ask one question at a time."
)
ASK = (
    "Answer a question from the document collection, with citations and the passages that the answer was written from. "
    "Numbers in the answer, like [1], refer to the passages. Use it for a finished answer; use search for the passages "
    "themselves."
)


def make_search_tool(
    index: VectorStoreIndex,
    rerank: BaseNodePostprocessor | None = None,
    *,
    top_k: int = 10,
    top_n: int = 3,
    mode: Mode = "dense",
    max_chars: int = MAX_CHARS,
    name: str = "search",
    description: str = SEARCH,
    explain: Explain | None = None,
) -> FunctionTool:
    """A tool that returns passages of any LlamaIndex index.

    Args:
        rerank: second stage; a `top_n` field of it is set per call.
        top_k: candidates of the first stage. More are taken when the model asks for more passages.
        top_n: passages to return when the model does not say.
        max_chars: length of a result; longer passages are cut, with a note.
        explain: one line for errors of your own stages; None lets them be reported as internal.

    Raises:
        ValueError: `top_n` or `max_chars` is out of its bounds.

    >>> tool = make_search_tool(index, Qwen3Rerank("tiny"))
    >>> tool.call(query="How is data stored in Milvus?").raw_output.results[0].source
    'milvus.md'
    """
    stages = TwoStages(index, rerank, top_k, top_n, mode)
    return search_tool(stages, max_chars, name, description, explain).to_function_tool()


def make_ask_tool(
    index: VectorStoreIndex,
    rerank: BaseNodePostprocessor | None = None,
    *,
    llm: LLM | Callable[[], LLM],
    system_prompt: str | None = None,
    top_k: int = 10,
    top_n: int = 3,
    mode: Mode = "dense",
    max_chars: int = MAX_CHARS,
    name: str = "ask",
    description: str = ASK,
    explain: Explain | None = None,
) -> FunctionTool:
    """A tool that answers with citations. `llm` may be a function, called at each question. Else as above.

    >>> tool = make_ask_tool(index, Qwen3Rerank("tiny"), llm=OpenAI("gpt-4o-mini"))
    >>> tool.call(query="How is data stored in Milvus?").raw_output.answer
    'In segments on object storage [1].'
    """
    stages = TwoStages(index, rerank, top_k, top_n, mode)
    writer = AnswerWriter(lambda: llm if isinstance(llm, LLM) else llm(), make_prompt(system_prompt))
    return ask_tool(stages, writer, max_chars, name, description, explain).to_function_tool()


def search_tool(
    stages: TwoStages,
    max_chars: int = MAX_CHARS,
    name: str = "search",
    description: str = SEARCH,
    explain: Explain | None = None,
) -> AgentTool:
    """`search` over stages that are there already."""
    _check(stages.top_n, max_chars)

    def run(given: SearchArguments) -> Passages:
        return passages(stages.run(given.query, **given.wishes()), max_chars, _nothing(given), given.detail)

    async def arun(given: SearchArguments) -> Passages:
        return passages(await stages.arun(given.query, **given.wishes()), max_chars, _nothing(given), given.detail)

    return AgentTool(name, description, SearchArguments, Passages, run, arun, explain, "Search documents")


def ask_tool(
    stages: TwoStages,
    writer: AnswerWriter,
    max_chars: int = MAX_CHARS,
    name: str = "ask",
    description: str = ASK,
    explain: Explain | None = None,
) -> AgentTool:
    """`ask` over stages and a writer that are there already."""
    _check(stages.top_n, max_chars)

    def run(given: ToolArguments) -> Answer:
        found = stages.run(given.query, **given.wishes())
        if not found.best:
            return Answer(answer=None, sources=[], note=_nothing(given))
        return answer(writer.write(given.query, found.best), found, max_chars)

    async def arun(given: ToolArguments) -> Answer:
        found = await stages.arun(given.query, **given.wishes())
        if not found.best:
            return Answer(answer=None, sources=[], note=_nothing(given))
        return answer(await writer.awrite(given.query, found.best), found, max_chars)

    return AgentTool(name, description, ToolArguments, Answer, run, arun, explain, "Answer from documents")


def _nothing(given: ToolArguments) -> str:
    if given.filters:
        return f"nothing was found with filters {given.filters}; try without them"
    if isinstance(given, SearchArguments) and given.exclude:
        return "nothing else was found; all other passages are excluded"
    return "nothing was found; the collection is empty"


def _check(top_n: int, max_chars: int) -> None:
    if not 1 <= top_n <= MAX_TOP_N:
        raise ValueError(f"top_n={top_n!r} must be from 1 to {MAX_TOP_N}: an agent reads every passage; lower it")
    if max_chars < MIN_CHARS:
        raise ValueError(f"max_chars={max_chars!r} must be at least {MIN_CHARS}, or passages become snippets; raise it")
