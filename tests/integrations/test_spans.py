"""Traces: one span an operation, the same sync and async, with the events of the call inside it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from llama_index.core.callbacks import CBEventType
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_conformance.recording import recording
from support.engines import FLOAT32_ON_CPU


@pytest.fixture(scope="module")
def model(embedding_folder):
    return Qwen3Embedding(str(embedding_folder), embed_batch_size=2, **FLOAT32_ON_CPU)


@pytest.fixture(scope="module")
def rerank(reranker_folder):
    return Qwen3Rerank(str(reranker_folder), **FLOAT32_ON_CPU)


@contextmanager
def spans() -> Iterator[SimpleSpanHandler]:
    handler, root = SimpleSpanHandler(), get_dispatcher()
    root.add_span_handler(handler)
    try:
        yield handler
    finally:
        root.span_handlers.remove(handler)


def names_of(found: list[Any]) -> list[str]:
    return [span.id_.rsplit("-", 5)[0] for span in found]


def traced(call: Callable[[], Any]) -> list[str]:
    with spans() as handler:
        result = call()
        if isinstance(result, Awaitable):
            asyncio.run(_wait(result))
    assert not handler.open_spans
    assert not handler.dropped_spans
    return names_of(handler.completed_spans)


async def _wait(result: Awaitable[Any]) -> None:
    await result


NODES = [NodeWithScore(node=TextNode(text=text)) for text in ("a", "b")]
EMBEDDING_CALLS = {
    "query": ("get_query_embedding", "q", 1),
    "text": ("get_text_embedding", "t", 1),
    "batch": ("get_text_embedding_batch", list("abcde"), 1),
}


@pytest.mark.parametrize(("method", "argument", "count"), EMBEDDING_CALLS.values(), ids=EMBEDDING_CALLS)
@pytest.mark.parametrize("prefix", ["", "a"], ids=["sync", "async"])
def test_an_embedding_call_is_one_span_of_cores_name(model, method, argument, count, prefix):
    method = prefix + method
    assert traced(lambda: getattr(model, method)(argument)) == [f"Qwen3Embedding.{method}"] * count


def test_an_aggregate_is_a_span_for_each_query_as_in_core(model):
    assert (
        traced(lambda: model.get_agg_embedding_from_queries(["a", "b"])) == ["Qwen3Embedding.get_query_embedding"] * 2
    )
    names = traced(lambda: model.aget_agg_embedding_from_queries(["a", "b"]))
    assert names == ["Qwen3Embedding.aget_query_embedding"] * 2


def test_a_transformation_is_a_span_around_its_batch_sync_and_async(model):
    nodes = [found.node for found in NODES]
    assert traced(lambda: model(nodes)) == ["Qwen3Embedding.get_text_embedding_batch", "Qwen3Embedding.__call__"]
    assert traced(lambda: model.acall(nodes)) == ["Qwen3Embedding.aget_text_embedding_batch", "Qwen3Embedding.acall"]


@pytest.mark.parametrize("nodes", [NODES, []], ids=["nodes", "none"])
def test_a_rerank_is_one_span_of_one_name_sync_and_async(rerank, nodes):
    expected = ["Qwen3Rerank._postprocess_nodes"]
    assert traced(lambda: rerank.postprocess_nodes(nodes, query_str="q")) == expected
    assert traced(lambda: rerank.apostprocess_nodes(nodes, QueryBundle("q"))) == expected


def test_a_rank_is_one_span(rerank):
    assert traced(lambda: rerank.rank("q", ["a", "b"])) == ["Qwen3Rerank.rank"]
    assert traced(lambda: rerank.arank("q", ["a", "b"])) == ["Qwen3Rerank.arank"]


def test_a_cached_vector_is_one_span_too(embedding_folder):
    from llama_index.core.storage.kvstore import SimpleKVStore

    model = Qwen3Embedding(str(embedding_folder), embeddings_cache=SimpleKVStore(), **FLOAT32_ON_CPU)
    for _ in range(2):
        assert traced(lambda: model.get_query_embedding("q")) == ["Qwen3Embedding.get_query_embedding"]


def test_events_belong_to_the_span_of_their_call_and_spans_to_the_one_around(model, rerank):
    dispatcher = get_dispatcher()

    @dispatcher.span
    async def request() -> None:
        await model.aget_query_embedding("q")
        await rerank.apostprocess_nodes(NODES, query_str="q")
        await rerank.arank("q", ["a"])

    with spans() as handler, recording(rerank, CBEventType.RERANKING) as record:
        asyncio.run(request())
    by_id = {span.id_: span for span in handler.completed_spans}
    outer = handler.completed_spans[-1].id_
    for event, name in zip(
        [*record.of(EmbeddingEndEvent), *record.of(ReRankEndEvent)],
        ["Qwen3Embedding.aget_query_embedding", "Qwen3Rerank._postprocess_nodes", "Qwen3Rerank.arank"],
        strict=True,
    ):
        assert event.span_id.startswith(name)
        assert by_id[event.span_id].parent_id == outer


def test_a_failing_call_drops_its_span(model, rerank):
    async def awaited(call: Awaitable[Any]) -> None:
        await call

    for call in (
        lambda: model.get_text_embedding("\ud800"),
        lambda: asyncio.run(awaited(model.aget_text_embedding("\ud800"))),
        lambda: rerank.postprocess_nodes(NODES),
        lambda: asyncio.run(awaited(rerank.apostprocess_nodes(NODES))),
        lambda: rerank.rank(None, ["a"]),
    ):
        with spans() as handler, pytest.raises(ValueError, match=r"surrogate|needs the query"):
            call()
        assert len(handler.dropped_spans) == 1
        assert not handler.completed_spans
        assert not handler.open_spans
