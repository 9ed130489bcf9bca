"""Checks of any BaseEmbedding."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CBEventType
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from qwen3_conformance.outcome import require
from qwen3_conformance.recording import recording
from qwen3_conformance.shared import (
    UNREADABLE,
    deep_copied,
    from_dict_of_to_dict,
    require_free_loop,
    require_no_secret,
    unpickled,
)
from qwen3_conformance.subjects import EmbeddingSubject, Probe

TEXTS = [
    "Paris is the capital of France.",
    "short",
    "A vector database stores embeddings and finds the nearest ones. " * 6,
    "Tyres need air.",
    "short",
    "日本語のテキスト",
    "Bread is baked from dough.",
]


def vectors_are_lists_of_python_floats(subject: EmbeddingSubject) -> None:
    model = subject.make()
    vectors = [
        model.get_query_embedding("q"),
        model.get_text_embedding("t"),
        *model.get_text_embedding_batch(["a", "b"]),
    ]
    for vector in vectors:
        require(isinstance(vector, list), f"a vector is a {type(vector).__name__}, not a list")
        kinds = {type(number) for number in vector}
        require(kinds == {float}, f"a vector holds {kinds}: vector stores and JSON need Python floats")
    require(len({len(vector) for vector in vectors}) == 1, "query and text vectors differ in length")


def a_batch_gives_the_vectors_of_single_calls_in_order(subject: EmbeddingSubject) -> None:
    model = subject.make()
    _require_same(model.get_text_embedding_batch(list(TEXTS)), [model.get_text_embedding(t) for t in TEXTS], subject)


def permuting_the_texts_permutes_the_vectors(subject: EmbeddingSubject) -> None:
    model = subject.make()
    forward, backward = (model.get_text_embedding_batch(texts) for texts in (TEXTS[:], TEXTS[::-1]))
    _require_same(forward, backward[::-1], subject)


def an_empty_batch_gives_no_vectors(subject: EmbeddingSubject) -> None:
    model = subject.make()
    require(model.get_text_embedding_batch([]) == [], "an empty batch does not give an empty list")
    require(asyncio.run(model.aget_text_embedding_batch([])) == [], "an empty async batch does not give an empty list")


def the_callers_list_is_not_changed(subject: EmbeddingSubject) -> None:
    texts = list(TEXTS)
    subject.make().get_text_embedding_batch(texts)
    require(texts == TEXTS, "embedding changed the list of texts it was given")


def embedding_nodes_changes_nothing_but_their_embedding(subject: EmbeddingSubject) -> None:
    nodes = [TextNode(text=text, metadata={"n": i}, id_=str(i)) for i, text in enumerate(TEXTS)]
    before = [node.model_dump(exclude={"embedding"}) for node in nodes]
    result = subject.make()(nodes)
    require([node.node_id for node in result] == [str(i) for i in range(len(nodes))], "nodes changed their order")
    require(all(node.embedding for node in result), "a node got no embedding")
    require([node.model_dump(exclude={"embedding"}) for node in nodes] == before, "a node's text or metadata changed")


def events_are_paired_on_success(subject: EmbeddingSubject) -> None:
    model = subject.make()
    for name, call in _calls(model, list(TEXTS)).items():
        with recording(model, CBEventType.EMBEDDING) as record:
            call()
        require(bool(record.of(EmbeddingStartEvent)), f"{name} reports no EmbeddingStartEvent")
        require(bool(record.started), f"{name} reports no EMBEDDING callback")
        record.require_pairs(EmbeddingStartEvent, EmbeddingEndEvent, name)


def events_are_paired_on_empty_input(subject: EmbeddingSubject) -> None:
    model = subject.make()
    for name, call in _calls(model, []).items():
        with recording(model, CBEventType.EMBEDDING) as record:
            call()
        record.require_pairs(EmbeddingStartEvent, EmbeddingEndEvent, f"{name} with empty input")


def events_are_paired_on_failure(subject: EmbeddingSubject) -> None:
    model = subject.make()
    for name, call in _calls(model, ["fine", UNREADABLE], query=UNREADABLE).items():
        with recording(model, CBEventType.EMBEDDING) as record, contextlib.suppress(Exception):
            call()
        record.require_pairs(EmbeddingStartEvent, EmbeddingEndEvent, f"{name} that fails")


def no_secret_is_recorded(subject: EmbeddingSubject) -> None:
    model = subject.make()
    require_no_secret("to_dict()", model.to_dict())
    with recording(model, CBEventType.EMBEDDING) as record:
        model.get_text_embedding("text")
    for event in record.of(EmbeddingStartEvent):
        require_no_secret("EmbeddingStartEvent.model_dict", event.model_dict)
    require_no_secret("the callback's payload", [payload for _, payload in record.started])


def a_dictionary_round_trip_keeps_the_vectors(subject: EmbeddingSubject) -> None:
    _require_round_trip(subject, from_dict_of_to_dict)


def a_pickle_round_trip_keeps_the_vectors_and_carries_no_weights(subject: EmbeddingSubject) -> None:
    _require_round_trip(subject, unpickled)


def a_deep_copy_keeps_the_vectors(subject: EmbeddingSubject) -> None:
    _require_round_trip(subject, deep_copied)


def async_calls_give_the_vectors_of_sync_calls(subject: EmbeddingSubject) -> None:
    model = subject.make()

    async def ask() -> list[list[float]]:
        batch = await model.aget_text_embedding_batch(list(TEXTS))
        return [await model.aget_query_embedding("q"), await model.aget_text_embedding("t"), *batch]

    sync = [model.get_query_embedding("q"), model.get_text_embedding("t"), *model.get_text_embedding_batch(TEXTS[:])]
    _require_same(asyncio.run(ask()), sync, subject)
    _require_same(asyncio.run(ask()), sync, subject)  # a second event loop: nothing may be bound to the first


def concurrent_calls_give_the_vectors_of_sequential_ones(subject: EmbeddingSubject) -> None:
    model = subject.make()
    queries = [f"question {i}" for i in range(30)]

    async def ask() -> list[list[float]]:
        return list(await asyncio.gather(*(model.aget_query_embedding(query) for query in queries)))

    _require_same(asyncio.run(ask()), [model.get_query_embedding(query) for query in queries], subject)


def async_calls_leave_the_loop_free(subject: EmbeddingSubject) -> None:
    model = subject.make()
    model.get_text_embedding("load")
    texts = [f"{i} vector databases store embeddings " * 8 for i in range(2048)]
    require_free_loop(lambda size: model.aget_text_embedding_batch(texts[:size]))


def concurrent_calls_never_overlap_on_the_model(subject: EmbeddingSubject) -> None:
    probe = Probe()
    model = subject.probed(probe)

    async def ask() -> None:
        queries = (model.aget_query_embedding(f"q{i}") for i in range(6))
        batches = (model.aget_text_embedding_batch(list(TEXTS)) for _ in range(6))
        await asyncio.gather(*queries, *batches, *(asyncio.to_thread(model.get_text_embedding, "t") for _ in range(4)))

    asyncio.run(ask())
    require(probe.count > 0, "no forward entered the probe")
    require(probe.most == 1, f"{probe.most} forwards ran at once on one model")


def a_cached_vector_is_the_computed_one(subject: EmbeddingSubject) -> None:
    store, fresh = SimpleKVStore(), subject.make()
    for _ in range(2):  # the second time from the cache
        model = subject.cached(store)
        _require_same(model.get_text_embedding_batch(TEXTS[:]), fresh.get_text_embedding_batch(TEXTS[:]), subject)
        _require_same([model.get_text_embedding("t")], [fresh.get_text_embedding("t")], subject)
        _require_same([model.get_query_embedding("q")], [fresh.get_query_embedding("q")], subject)
        _require_same([asyncio.run(model.aget_query_embedding("q"))], [fresh.get_query_embedding("q")], subject)


def the_cache_keeps_queries_and_texts_apart(subject: EmbeddingSubject) -> None:
    fresh = subject.make()
    query, text = fresh.get_query_embedding("Paris"), fresh.get_text_embedding("Paris")
    for first_text in (True, False):
        model = subject.cached(SimpleKVStore())
        roles: list[tuple[Callable[[str], list[float]], list[float]]] = [
            (model.get_text_embedding, text),
            (model.get_query_embedding, query),
        ]
        for embed, expected in roles if first_text else roles[::-1]:
            _require_same(
                [embed("Paris")], [expected], subject, "one text as query and as document shares a cache entry"
            )


EMBEDDING_CHECKS: list[Callable[[EmbeddingSubject], None]] = [
    vectors_are_lists_of_python_floats,
    a_batch_gives_the_vectors_of_single_calls_in_order,
    permuting_the_texts_permutes_the_vectors,
    an_empty_batch_gives_no_vectors,
    the_callers_list_is_not_changed,
    embedding_nodes_changes_nothing_but_their_embedding,
    events_are_paired_on_success,
    events_are_paired_on_empty_input,
    events_are_paired_on_failure,
    no_secret_is_recorded,
    a_dictionary_round_trip_keeps_the_vectors,
    a_pickle_round_trip_keeps_the_vectors_and_carries_no_weights,
    a_deep_copy_keeps_the_vectors,
    async_calls_give_the_vectors_of_sync_calls,
    concurrent_calls_give_the_vectors_of_sequential_ones,
    async_calls_leave_the_loop_free,
    concurrent_calls_never_overlap_on_the_model,
    a_cached_vector_is_the_computed_one,
    the_cache_keeps_queries_and_texts_apart,
]


def _calls(model: BaseEmbedding, texts: list[str], query: str = "") -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {
        "get_text_embedding_batch": lambda: model.get_text_embedding_batch(texts),
        "aget_text_embedding_batch": lambda: asyncio.run(model.aget_text_embedding_batch(texts)),
    }
    if texts:
        calls |= {
            "get_query_embedding": lambda: model.get_query_embedding(query),
            "aget_query_embedding": lambda: asyncio.run(model.aget_query_embedding(query)),
            "get_text_embedding": lambda: model.get_text_embedding(texts[-1]),
            "aget_text_embedding": lambda: asyncio.run(model.aget_text_embedding(texts[-1])),
        }
    return calls


def _require_round_trip(subject: EmbeddingSubject, rebuild: Callable[[BaseEmbedding], BaseEmbedding]) -> None:
    model = subject.make()
    before = [model.get_query_embedding("q"), model.get_text_embedding("t")]  # loaded, so weights could travel
    rebuilt = rebuild(model)
    _require_same([rebuilt.get_query_embedding("q"), rebuilt.get_text_embedding("t")], before, subject)


def _require_same(
    left: Sequence[Sequence[float]],
    right: Sequence[Sequence[float]],
    subject: EmbeddingSubject,
    what: str = "vectors of the same texts differ",
) -> None:
    require(len(left) == len(right), f"{len(left)} vectors where {len(right)} were expected")
    for index, (a, b) in enumerate(zip(left, right, strict=True)):
        require(len(a) == len(b), f"vector {index} has {len(a)} numbers where {len(b)} were expected")
        apart = max(abs(x - y) for x, y in zip(a, b, strict=True))
        require(apart <= subject.tolerance, f"{what}: vector {index} is {apart:.1e} apart, over {subject.tolerance}")
