"""Passages to an answer with sources, whole or piece by piece, and what is raised when there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.schema import NodeWithScore

from qwen3_rag.config import RagConfig
from qwen3_rag.query.answer import CitedSynthesizer, make_prompt
from qwen3_rag.query.rows import AnswerResult, NoAnswerError, NumberedSource
from qwen3_rag.query.stages import Found

OnToken = Callable[[str], object]
"""Called with each piece of an answer as it is written."""


@dataclass(frozen=True)
class AnswerWriter:
    """Writes answers with a language model, which is made at each call: some are bound to an event loop."""

    llm: Callable[[], LLM]
    prompt: BasePromptTemplate = field(default_factory=make_prompt)

    def write(self, question: str, nodes: Sequence[NodeWithScore], on_token: OnToken | None = None) -> str:
        """The answer. With `on_token` it is streamed."""
        response = self._synthesizer(on_token).synthesize(question, nodes=list(nodes))
        if on_token is None or not isinstance(response, StreamingResponse):
            return str(response)
        pieces = []
        for piece in response.response_gen:
            on_token(piece)
            pieces.append(piece)
        return "".join(pieces)

    async def awrite(self, question: str, nodes: Sequence[NodeWithScore], on_token: OnToken | None = None) -> str:
        """The same, awaited."""
        response = await self._synthesizer(on_token).asynthesize(question, nodes=list(nodes))
        if on_token is None or not isinstance(response, AsyncStreamingResponse):
            return str(response)
        pieces = []
        async for piece in response.async_response_gen():
            on_token(piece)
            pieces.append(piece)
        return "".join(pieces)

    def _synthesizer(self, on_token: OnToken | None) -> CitedSynthesizer:
        return CitedSynthesizer(self.llm(), self.prompt, streaming=on_token is not None)


def make_writer(config: RagConfig, llm: LLM | None = None) -> AnswerWriter:
    """The configured language model, or `llm`, with the configured prompt."""

    def make() -> LLM:
        from qwen3_rag.query.llm import make_llm

        return llm or make_llm(config)

    return AnswerWriter(make, make_prompt(config.system_prompt))


def as_answer(found: Found, answer: str | None) -> AnswerResult:
    """An answer with the passages it was written from."""
    result = found.to_result()
    rows = result.best[: len(found.best)]
    sources = [NumberedSource(number=row.rank, source=row.source, node_id=row.node_id) for row in rows]
    return AnswerResult(**result.model_dump(), answer=answer, sources=sources)


@contextmanager
def answering(config: RagConfig, found: Found) -> Iterator[None]:
    """Around writing an answer: what keeps the language model from it is a `NoAnswerError`."""
    if not found.best:
        raise NoAnswerError("no passage was found", as_answer(found, None))
    try:
        yield
    except Exception as error:
        from qwen3_rag.query.llm import why_no_answer

        reason = why_no_answer(error, config)
        if reason is None:
            raise
        raise NoAnswerError(reason, as_answer(found, None)) from error
