"""What a caller sees of a rerank besides its nodes: LlamaIndex's spans, events and callbacks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore
from llama_index.postprocessor.qwen3_rerank.inputs import Question

Method = TypeVar("Method", bound=Callable[..., Any])
dispatcher = get_dispatcher(__name__)


def traced(method: Method) -> Method:
    """One span a call. Core's own decorator hides the method's signature from type checkers."""
    return cast(Method, dispatcher.span(method))


def traced_as(name: str) -> Callable[[Method], Method]:
    """One span a call under another method's name."""

    def decorated(method: Method) -> Method:
        method.__name__ = name
        return traced(method)

    return decorated


@contextmanager
def reported(
    question: Question, model_name: str, callback_manager: CallbackManager
) -> Iterator[Callable[[list[NodeWithScore]], None]]:
    """The events of one call. The nodes it keeps go through the function it yields.

    The end is reported also when the call fails (without nodes; the callback's end then carries the exception, which
    the callback manager adds).
    """
    kept: list[NodeWithScore] = []
    nodes = question.nodes
    top_n = len(nodes) if question.top_n is None else question.top_n
    payload: dict[str, Any] = {
        EventPayload.NODES: list(nodes),
        EventPayload.MODEL_NAME: model_name,
        EventPayload.QUERY_STR: question.query,
        EventPayload.TOP_K: top_n,
    }
    dispatcher.event(ReRankStartEvent(query=question.query, nodes=list(nodes), top_n=top_n, model_name=model_name))
    with callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
        try:
            yield kept.extend
            event.on_end(payload={EventPayload.NODES: list(kept)})
        finally:
            dispatcher.event(ReRankEndEvent(nodes=list(kept)))
