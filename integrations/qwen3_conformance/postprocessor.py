"""Checks of any reranking BaseNodePostprocessor."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.callbacks import CBEventType
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from qwen3_conformance.nodes import QUERY, TEXTS, UnreadableNode, make_nodes, scores_by_id, snapshot
from qwen3_conformance.outcome import ConformanceError, require
from qwen3_conformance.recording import recording
from qwen3_conformance.shared import (
    deep_copied,
    from_dict_of_to_dict,
    require_free_loop,
    require_no_secret,
    unpickled,
)
from qwen3_conformance.subjects import PostprocessorSubject, Probe


def the_callers_nodes_and_metadata_are_not_changed(subject: PostprocessorSubject) -> None:
    nodes = make_nodes()
    before = snapshot(nodes)
    for call in _calls(subject.make(), nodes).values():
        call()
        require(snapshot(nodes) == before, "the caller's list, nodes, metadata or scores were changed")


def changing_a_returned_score_leaves_the_callers_alone(subject: PostprocessorSubject) -> None:
    nodes = make_nodes()
    given = {id(found) for found in nodes}
    result = subject.make().postprocess_nodes(nodes, query_str=QUERY)
    require(not any(id(found) in given for found in result), "returned NodeWithScore objects are the caller's own")


def scores_are_python_floats(subject: PostprocessorSubject) -> None:
    kinds = {type(found.score) for found in subject.make().postprocess_nodes(make_nodes(), query_str=QUERY)}
    require(kinds == {float}, f"scores are {kinds}: JSON and stores need Python floats")


def the_best_comes_first(subject: PostprocessorSubject) -> None:
    scores = [found.score or 0.0 for found in subject.make().postprocess_nodes(make_nodes(), query_str=QUERY)]
    require(len(scores) == len(TEXTS), f"{len(scores)} of {len(TEXTS)} nodes came back; the subject must keep 8")
    require(scores == sorted(scores, reverse=True), f"scores are not descending: {scores}")


def permuting_the_nodes_changes_no_score(subject: PostprocessorSubject) -> None:
    model, nodes = subject.make(), make_nodes()
    shuffled = random.Random(5).sample(nodes, len(nodes))  # noqa: S311 (no security here)
    first, second = (model.postprocess_nodes(given, query_str=QUERY) for given in (nodes, shuffled))
    _require_same(first, second, subject, "another order of the nodes gives other scores")


def equal_scores_keep_the_given_order(subject: PostprocessorSubject) -> None:
    nodes = [NodeWithScore(node=TextNode(text="the same", id_=name), score=0.5) for name in "cabfdeg"]
    names = [found.node.node_id for found in subject.make().postprocess_nodes(nodes, query_str=QUERY)]
    require(names == list("cabfdeg"), f"nodes with one and the same text came back in another order: {names}")


def reranking_a_result_again_gives_the_same_scores(subject: PostprocessorSubject) -> None:
    model = subject.make()
    result = model.postprocess_nodes(make_nodes(), query_str=QUERY)
    # Kept apart: a model that writes into what it is given would change the first scores, too.
    first = [NodeWithScore(node=found.node, score=float(found.score or 0.0)) for found in result]
    second = model.postprocess_nodes(result, query_str=QUERY)
    _require_same(first, second, subject, "a second rerank gives other scores: the first left something in the text")


def a_result_shows_llms_and_embedders_no_bookkeeping(subject: PostprocessorSubject) -> None:
    nodes = make_nodes()
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        before = {found.node.node_id: found.node.get_content(mode) for found in nodes}
        for found in subject.make().postprocess_nodes(nodes, query_str=QUERY):
            same = found.node.get_content(mode) == before[found.node.node_id]
            require(same, f"the text a returned node shows in mode {mode.value!r} is not the one it came with")


def no_nodes_give_no_nodes(subject: PostprocessorSubject) -> None:
    for name, call in _calls(subject.make(), []).items():
        require(call() == [], f"{name} of no nodes does not give an empty list")


def a_missing_query_is_a_value_error(subject: PostprocessorSubject) -> None:
    model = subject.make()
    calls: dict[str, Callable[[], Any]] = {
        "postprocess_nodes": lambda: model.postprocess_nodes(make_nodes()),
        "apostprocess_nodes": lambda: asyncio.run(model.apostprocess_nodes(make_nodes())),
    }
    for name, call in calls.items():
        try:
            call()
        except ValueError:
            continue
        except Exception as error:
            raise ConformanceError(f"{name} without a query raises {type(error).__name__}, not ValueError") from error
        raise ConformanceError(f"{name} without a query raises nothing")


def events_are_paired_on_success(subject: PostprocessorSubject) -> None:
    model = subject.make()
    for name, call in _calls(model, make_nodes()).items():
        with recording(model, CBEventType.RERANKING) as record:
            result = call()
        require(bool(record.of(ReRankStartEvent)), f"{name} reports no ReRankStartEvent")
        require(bool(record.started), f"{name} reports no RERANKING callback")
        record.require_pairs(ReRankStartEvent, ReRankEndEvent, name)
        reported = [found.node.node_id for found in record.of(ReRankEndEvent)[-1].nodes]
        require(reported == [found.node.node_id for found in result], f"{name} reports other nodes than it returns")


def events_are_paired_on_empty_input(subject: PostprocessorSubject) -> None:
    model = subject.make()
    for name, call in _calls(model, []).items():
        with recording(model, CBEventType.RERANKING) as record:
            call()
        record.require_pairs(ReRankStartEvent, ReRankEndEvent, f"{name} with empty input")


def events_are_paired_on_failure(subject: PostprocessorSubject) -> None:
    model = subject.make()
    for name, call in _calls(model, [NodeWithScore(node=UnreadableNode(text="x"), score=0.1)]).items():
        with recording(model, CBEventType.RERANKING) as record, contextlib.suppress(Exception):
            call()
        record.require_pairs(ReRankStartEvent, ReRankEndEvent, f"{name} that fails")


def no_secret_is_recorded(subject: PostprocessorSubject) -> None:
    model = subject.make()
    require_no_secret("to_dict()", model.to_dict())
    with recording(model, CBEventType.RERANKING) as record:
        model.postprocess_nodes(make_nodes(), query_str=QUERY)
    require_no_secret("the callback's payload", [payload for _, payload in record.started])


def a_dictionary_round_trip_keeps_the_scores(subject: PostprocessorSubject) -> None:
    _require_round_trip(subject, from_dict_of_to_dict)


def a_pickle_round_trip_keeps_the_scores_and_carries_no_weights(subject: PostprocessorSubject) -> None:
    _require_round_trip(subject, unpickled)


def a_deep_copy_keeps_the_scores(subject: PostprocessorSubject) -> None:
    _require_round_trip(subject, deep_copied)


def async_calls_give_the_scores_of_sync_calls(subject: PostprocessorSubject) -> None:
    model = subject.make()
    expected = model.postprocess_nodes(make_nodes(), query_str=QUERY)
    for _ in range(2):  # two event loops: nothing may be bound to the first
        _require_same(asyncio.run(model.apostprocess_nodes(make_nodes(), query_str=QUERY)), expected, subject)


def concurrent_calls_give_the_scores_of_sequential_ones(subject: PostprocessorSubject) -> None:
    model, queries = subject.make(), [f"question {i}" for i in range(12)]

    async def ask() -> list[list[NodeWithScore]]:
        return list(
            await asyncio.gather(*(model.apostprocess_nodes(make_nodes(), query_str=query) for query in queries))
        )

    for query, found in zip(queries, asyncio.run(ask()), strict=True):
        _require_same(found, model.postprocess_nodes(make_nodes(), query_str=query), subject)


def async_calls_leave_the_loop_free(subject: PostprocessorSubject) -> None:
    model = subject.make()
    model.postprocess_nodes(make_nodes(), query_str=QUERY)
    nodes = make_nodes([f"{i} vector databases store embeddings " * 8 for i in range(2048)])
    require_free_loop(lambda size: model.apostprocess_nodes(nodes[:size], query_str=QUERY))


def concurrent_calls_never_overlap_on_the_model(subject: PostprocessorSubject) -> None:
    probe = Probe()
    model = subject.probed(probe)

    async def ask() -> None:
        calls = (model.apostprocess_nodes(make_nodes(), query_str=f"q{i}") for i in range(8))
        threads = (asyncio.to_thread(model.postprocess_nodes, make_nodes(), QueryBundle(QUERY)) for _ in range(4))
        await asyncio.gather(*calls, *threads)

    asyncio.run(ask())
    require(probe.count > 0, "no forward entered the probe")
    require(probe.most == 1, f"{probe.most} forwards ran at once on one model")


POSTPROCESSOR_CHECKS: list[Callable[[PostprocessorSubject], None]] = [
    the_callers_nodes_and_metadata_are_not_changed,
    changing_a_returned_score_leaves_the_callers_alone,
    scores_are_python_floats,
    the_best_comes_first,
    permuting_the_nodes_changes_no_score,
    equal_scores_keep_the_given_order,
    reranking_a_result_again_gives_the_same_scores,
    a_result_shows_llms_and_embedders_no_bookkeeping,
    no_nodes_give_no_nodes,
    a_missing_query_is_a_value_error,
    events_are_paired_on_success,
    events_are_paired_on_empty_input,
    events_are_paired_on_failure,
    no_secret_is_recorded,
    a_dictionary_round_trip_keeps_the_scores,
    a_pickle_round_trip_keeps_the_scores_and_carries_no_weights,
    a_deep_copy_keeps_the_scores,
    async_calls_give_the_scores_of_sync_calls,
    concurrent_calls_give_the_scores_of_sequential_ones,
    async_calls_leave_the_loop_free,
    concurrent_calls_never_overlap_on_the_model,
]


def _calls(model: BaseNodePostprocessor, nodes: list[NodeWithScore]) -> dict[str, Callable[[], Any]]:
    return {
        "postprocess_nodes": lambda: model.postprocess_nodes(nodes, query_str=QUERY),
        "apostprocess_nodes": lambda: asyncio.run(model.apostprocess_nodes(nodes, query_str=QUERY)),
    }


def _require_round_trip(
    subject: PostprocessorSubject, rebuild: Callable[[BaseNodePostprocessor], BaseNodePostprocessor]
) -> None:
    model = subject.make()
    before = model.postprocess_nodes(make_nodes(), query_str=QUERY)  # loaded, so weights could travel
    _require_same(rebuild(model).postprocess_nodes(make_nodes(), query_str=QUERY), before, subject)


def _require_same(
    left: Sequence[NodeWithScore],
    right: Sequence[NodeWithScore],
    subject: PostprocessorSubject,
    what: str = "scores of the same nodes differ",
) -> None:
    ours, theirs = scores_by_id(left), scores_by_id(right)
    require(ours.keys() == theirs.keys(), f"{what}: nodes {sorted(ours)} on one side, {sorted(theirs)} on the other")
    apart = max((abs(ours[name] - theirs[name]) for name in ours), default=0.0)
    require(apart <= subject.tolerance, f"{what}: {apart:.1e} apart, over {subject.tolerance}")
