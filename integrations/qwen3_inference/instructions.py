"""Instructions for one call: a context manager over context variables, read when a call starts.

Why a context variable: the instruction belongs to one request, but between the request and the model lie LlamaIndex's
retrievers and query engines, whose signatures cannot carry it. A context variable passes through them, through
`await`, `asyncio.gather`, `asyncio.to_thread` and LlamaIndex's own thread hops, and two requests never see each
other's. Where an object with another instruction is wanted instead, pydantic's `model_copy(update=...)` gives one
that shares the loaded weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from qwen3_inference.prompts import check_instruction

_query_instruction: ContextVar[str | None] = ContextVar("qwen3_query_instruction", default=None)
_rerank_instruction: ContextVar[str | None] = ContextVar("qwen3_rerank_instruction", default=None)


@contextmanager
def use_instruction(
    instruction: str | None = None, *, query: str | None = None, rerank: str | None = None
) -> Iterator[None]:
    """Use `instruction` for both stages, or `query` and `rerank` for one, in the calls made inside the block.

    None leaves a stage as it was (the enclosing block's or the object's own instruction); an empty string turns the
    query instruction off.

    >>> with use_instruction("Given a bug report, retrieve the commits that caused it"):
    ...     current_query_instruction(None)
    'Given a bug report, retrieve the commits that caused it'
    >>> current_query_instruction("its own")
    'its own'
    """
    query = check_instruction(instruction if query is None else query, "query instruction")
    rerank = check_instruction(instruction if rerank is None else rerank, "rerank instruction")
    query_token = _query_instruction.set(_query_instruction.get() if query is None else query)
    rerank_token = _rerank_instruction.set(_rerank_instruction.get() if rerank is None else rerank)
    try:
        yield
    finally:
        _rerank_instruction.reset(rerank_token)
        _query_instruction.reset(query_token)


def current_query_instruction(own: str | None) -> str | None:
    """The instruction for query embeddings here: the innermost block's, else `own`."""
    here = _query_instruction.get()
    return own if here is None else here


def current_rerank_instruction(own: str | None) -> str | None:
    """The instruction for reranking here: the innermost block's, else `own`."""
    here = _rerank_instruction.get()
    return own if here is None else here
