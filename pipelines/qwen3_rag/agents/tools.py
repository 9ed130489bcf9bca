"""Retrieval as agent tools: `search` returns passages, `ask` an answer with sources. Plain LlamaIndex `FunctionTool`s.

What they do that LlamaIndex's `RetrieverTool` and `QueryEngineTool` do not: the question reaches the models as it is
(`RetrieverTool` searches for "input is ..."), the model may set the number of passages, filters and the instruction,
results are JSON of bounded size, and whatever goes wrong comes back as a result that says what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.tools import FunctionTool, ToolOutput
from llama_index.core.tools.types import ToolMetadata
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from qwen3_inference import use_instruction

from qwen3_rag.agents.arguments import MAX_TOP_N, ToolArguments, parse, to_filters
from qwen3_rag.agents.results import (
    MAX_CHARS,
    MIN_CHARS,
    Answer,
    Explain,
    Result,
    ToolError,
    answer,
    failure,
    passages,
)
from qwen3_rag.config import RagConfig
from qwen3_rag.models import Models
from qwen3_rag.query.answer import CitedSynthesizer, make_llm, make_prompt, why_no_answer
from qwen3_rag.query.stages import make_index
from qwen3_rag.store.vector_store import RagVectorStore

NOTHING = "nothing was found"
SEARCH = (
    "Search the document collection and get the passages that best answer a question, best first, as JSON: "
    '{"results": [{"rank", "score", "text", "source", "node_id"}]}. Higher scores are better. '
    "Quote from the texts and name their source. Use it for facts to be looked up; "
    "ask one question at a time."
)
ASK = (
    "Answer a question from the document collection, with citations, as JSON: "
    '{"answer", "sources": [{"number", "cited", "source", "text"}]}. Numbers in the answer, like [1], refer to the '
    "sources. Use it for a finished answer; use search for the passages themselves."
)


@dataclass(frozen=True)
class _TwoStages:
    """What both tools share: arguments to passages. The async body differs from the sync one in what it waits for."""

    name: str
    index: VectorStoreIndex
    rerank: BaseNodePostprocessor | None
    top_k: int
    top_n: int
    mode: VectorStoreQueryMode
    max_chars: int
    explain: Explain | None

    def call(self, *args: Any, **kwargs: Any) -> Result:
        try:
            given = parse(args, kwargs)
            retriever, rerank, bundle = self._stages(given)
            with use_instruction(given.instruction or None):
                found = retriever.retrieve(bundle)
                kept = rerank.postprocess_nodes(found, query_bundle=bundle) if rerank and found else found
            return self._finish(given, kept[: self._wanted(given)])
        except Exception as error:
            return failure(error, self.name, self.explain)

    async def acall(self, *args: Any, **kwargs: Any) -> Result:
        try:
            given = parse(args, kwargs)
            retriever, rerank, bundle = self._stages(given)
            with use_instruction(given.instruction or None):
                found = await retriever.aretrieve(bundle)
                kept = await rerank.apostprocess_nodes(found, query_bundle=bundle) if rerank and found else found
            return await self._afinish(given, kept[: self._wanted(given)])
        except Exception as error:
            return failure(error, self.name, self.explain)

    def _stages(self, given: ToolArguments) -> tuple[BaseRetriever, BaseNodePostprocessor | None, QueryBundle]:
        wanted = self._wanted(given)
        retriever = self.index.as_retriever(
            similarity_top_k=max(self.top_k, wanted),
            vector_store_query_mode=self.mode,
            filters=to_filters(given.filters),
        )
        rerank = self.rerank
        if rerank is not None and "top_n" in type(rerank).model_fields:
            rerank = rerank.model_copy(update={"top_n": wanted})  # shares the loaded weights
        return retriever, rerank, QueryBundle(given.query)

    def _wanted(self, given: ToolArguments) -> int:
        return given.top_n or self.top_n

    def _nothing(self, given: ToolArguments) -> str:
        where = f" with filters {given.filters}; try without them" if given.filters else "; the collection is empty"
        return NOTHING + where

    def _finish(self, given: ToolArguments, kept: Sequence[NodeWithScore]) -> Result:
        return passages(kept, self.max_chars, self._nothing(given))

    async def _afinish(self, given: ToolArguments, kept: Sequence[NodeWithScore]) -> Result:
        return self._finish(given, kept)


@dataclass(frozen=True)
class _Asking(_TwoStages):
    synthesizer: Callable[[], CitedSynthesizer]

    def _finish(self, given: ToolArguments, kept: Sequence[NodeWithScore]) -> Result:
        if not kept:
            return Answer(answer=None, sources=[], note=self._nothing(given))
        written = self.synthesizer().synthesize(given.query, nodes=list(kept))
        return answer(str(written), kept, self.max_chars)

    async def _afinish(self, given: ToolArguments, kept: Sequence[NodeWithScore]) -> Result:
        if not kept:
            return Answer(answer=None, sources=[], note=self._nothing(given))
        written = await self.synthesizer().asynthesize(given.query, nodes=list(kept))
        return answer(str(written), kept, self.max_chars)


def make_search_tool(
    index: VectorStoreIndex,
    rerank: BaseNodePostprocessor | None = None,
    *,
    top_k: int = 10,
    top_n: int = 3,
    mode: VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT,
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
    _check(top_n, max_chars)
    return _tool(_TwoStages(name, index, rerank, top_k, top_n, mode, max_chars, explain), description)


def make_ask_tool(
    index: VectorStoreIndex,
    rerank: BaseNodePostprocessor | None = None,
    *,
    llm: LLM | Callable[[], LLM],
    system_prompt: str | None = None,
    top_k: int = 10,
    top_n: int = 3,
    mode: VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT,
    max_chars: int = MAX_CHARS,
    name: str = "ask",
    description: str = ASK,
    explain: Explain | None = None,
) -> FunctionTool:
    """A tool that answers with citations. `llm` may be a function, called at the first question. Else as above.

    >>> tool = make_ask_tool(index, Qwen3Rerank("tiny"), llm=OpenAI("gpt-4o-mini"))
    >>> tool.call(query="How is data stored in Milvus?").raw_output.answer
    'In segments on object storage [1].'
    """
    _check(top_n, max_chars)

    def synthesizer() -> CitedSynthesizer:
        return CitedSynthesizer(llm if isinstance(llm, LLM) else llm(), make_prompt(system_prompt))

    return _tool(_Asking(name, index, rerank, top_k, top_n, mode, max_chars, explain, synthesizer), description)


def make_tools(
    config: RagConfig, store: RagVectorStore, models: Models, *, llm: LLM | None = None
) -> list[FunctionTool]:
    """`search` and `ask` over the configured collection. Without `llm` the configured one answers.

    >>> agent = FunctionAgent(tools=make_tools(config, store, models), llm=OpenAI("gpt-4o-mini"))
    >>> print(await agent.run("How is data stored in Milvus?"))
    """
    hybrid = config.mode == "hybrid"
    settings: dict[str, Any] = {
        "index": make_index(store, models.embed),
        "rerank": models.rerank,
        "top_k": config.top_k,
        "top_n": min(config.top_n, MAX_TOP_N),
        "mode": VectorStoreQueryMode.HYBRID if hybrid else VectorStoreQueryMode.DEFAULT,
        "explain": lambda error: why_no_answer(error, config),
    }
    ask = make_ask_tool(llm=llm or (lambda: make_llm(config)), system_prompt=config.system_prompt, **settings)
    return [make_search_tool(**settings), ask]


def _tool(stages: _TwoStages, description: str) -> FunctionTool:
    def mark(result: Result) -> ToolOutput | None:
        """Failures are marked as such, for agents that look at it; LlamaIndex makes the output of anything else."""
        if not isinstance(result, ToolError):
            return None
        return ToolOutput(tool_name=stages.name, content=str(result), raw_input={}, raw_output=result, is_error=True)

    async def amark(result: Result) -> ToolOutput | None:
        return mark(result)

    metadata = ToolMetadata(description=description, name=stages.name, fn_schema=ToolArguments)
    return FunctionTool(fn=stages.call, async_fn=stages.acall, metadata=metadata, callback=mark, async_callback=amark)


def _check(top_n: int, max_chars: int) -> None:
    if not 1 <= top_n <= MAX_TOP_N:
        raise ValueError(f"top_n={top_n!r} must be from 1 to {MAX_TOP_N}: an agent reads every passage; lower it")
    if max_chars < MIN_CHARS:
        raise ValueError(f"max_chars={max_chars!r} must be at least {MIN_CHARS}, or passages become snippets; raise it")
