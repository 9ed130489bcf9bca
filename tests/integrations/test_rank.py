"""`rank` and `arank`: plain strings, the scores of the node path, best first."""

import numpy as np
import pytest
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank, RankedDocument, use_instruction
from qwen3_conformance.recording import recording
from qwen3_inference import NumericalError
from qwen3_inference.tokenization import PromptTokenizer
from support import reference
from support.engines import FLOAT32_ON_CPU, PROBABILITY_TOLERANCE, assert_close, reranker

DOCUMENTS = ["Tyres need air.", "  Bread is baked from dough. \n", "", "Paris", "Tyres need air."]


@pytest.fixture
def rerank(reranker_folder):
    return Qwen3Rerank(str(reranker_folder), top_n=2, score_threshold=1.0, **FLOAT32_ON_CPU)


def in_order(ranked):
    return np.array([found.score for found in sorted(ranked)])


async def test_all_documents_come_back_best_first_with_the_scores_of_the_reference(rerank, reranker_folder):
    ranked = rerank.rank("q", DOCUMENTS)
    assert_close(in_order(ranked), reference.score(reranker_folder, "q", DOCUMENTS), PROBABILITY_TOLERANCE)
    assert sorted(found.index for found in ranked) == list(range(len(DOCUMENTS))), "top_n and threshold are for nodes"
    assert [found.score for found in ranked] == sorted((found.score for found in ranked), reverse=True)
    assert all(found.text == DOCUMENTS[found.index] for found in ranked)
    assert await rerank.arank("q", DOCUMENTS) == ranked


def test_results_are_named_tuples_of_plain_values(rerank):
    [found] = rerank.rank("q", ["a"])
    index, score, text = found
    assert isinstance(found, RankedDocument)
    assert found == (found.index, found.score, found.text) == (index, score, text)
    assert (type(index), type(score), type(text)) == (int, float, str)


async def test_top_n_keeps_the_best_and_equal_documents_keep_their_order(rerank):
    everything = rerank.rank("q", DOCUMENTS)
    for top_n in (1, 3, 50):
        assert rerank.rank("q", DOCUMENTS, top_n=top_n) == everything[:top_n]
        assert await rerank.arank("q", DOCUMENTS, top_n=top_n) == everything[:top_n]
    places = [found.index for found in everything]
    assert places.index(0) + 1 == places.index(4), "the same text twice: one score, the first one first"


def test_rank_and_the_node_path_give_one_score(rerank, reranker_folder):
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in DOCUMENTS]
    rerank.top_n, rerank.score_threshold = 10, None
    found = rerank.postprocess_nodes(nodes, query_str="q")
    assert [(item.text, item.score) for item in found] == [
        (item.text, item.score) for item in rerank.rank("q", DOCUMENTS)
    ]


async def test_an_instruction_for_the_call_wins_over_the_blocks_and_the_objects(rerank, reranker_folder):
    for task, call in {"own": {}, "block": {}, "call": {"instruction": "call"}}.items():
        rerank.instruction = "own"
        with use_instruction(rerank=None if task == "own" else "block"):
            ranked = rerank.rank("q", DOCUMENTS, **call)
            assert await rerank.arank("q", DOCUMENTS, **call) == ranked
        assert_close(in_order(ranked), reference.score(reranker_folder, "q", DOCUMENTS, task), PROBABILITY_TOLERANCE)


async def test_no_documents_are_no_results_and_still_one_pair_of_events(rerank):
    with recording(rerank, CBEventType.RERANKING) as record:
        assert rerank.rank("q", []) == []
        assert await rerank.arank("q", ()) == []
    record.require_pairs(ReRankStartEvent, ReRankEndEvent, "rank")
    assert len(record.of(ReRankStartEvent)) == 2


async def test_a_rank_is_reported_like_a_rerank(rerank):
    with recording(rerank, CBEventType.RERANKING) as record:
        ranked = rerank.rank("q", DOCUMENTS, top_n=2)
        await rerank.arank("q", DOCUMENTS)
    starts, ends = record.of(ReRankStartEvent), record.of(ReRankEndEvent)
    assert [(start.query, start.top_n, start.model_name) for start in starts] == [
        ("q", 2, rerank.model),
        ("q", len(DOCUMENTS), rerank.model),
    ]
    assert [found.text for found in starts[0].nodes] == DOCUMENTS
    assert [(int(found.node_id), found.score, found.text) for found in ends[0].nodes] == ranked
    assert len(ends[1].nodes) == len(DOCUMENTS)
    assert set(record.ended[0][1]) == {EventPayload.NODES}


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None, ["a"]), {}, "reranking needs the query: pass the query as a string"),
        ((3, ["a"]), {}, "the query 3 must be a string"),
        (("q", "one document"), {}, r"'one document' is one string where a list .* rank\(query, \[document\]\)"),
        (("q", None), {}, "None is NoneType where a list of strings belongs; pass a list of strings"),
        (("q", {"a": 1}), {}, "is dict where a list of strings belongs"),
        (("q", ["a", None]), {}, "document 1 is NoneType, not a string"),
        (("q", ["a", b"b"]), {}, "document 1 is bytes, not a string: b'b'; decode it first"),
        (("q", [TextNode(text="a")]), {}, r"document 0 is TextNode, not a string: .*node.get_content\(\)"),
        (("q", ["a"]), {"top_n": 0}, "top_n=0 must be an integer of at least 1"),
        (("q", ["a"]), {"instruction": "<Instruct>: x"}, "pass the task alone"),
        (("q", ["fine", "abc\ud800"]), {}, r"document 1 has the lone surrogate '\\ud800' at position 3"),
        (("ab\udfff", ["a"]), {}, r"the query has the lone surrogate '\\udfff' at position 2"),
        (("q", ["a"]), {"instruction": "x\ud800"}, r"the instruction has the lone surrogate '\\ud800' at position 1"),
    ],
    ids=lambda value: "" if isinstance(value, tuple | dict) else value[:40],
)
async def test_what_cannot_be_ranked_is_an_error_that_says_what_to_pass(rerank, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        rerank.rank(*arguments, **options)
    with pytest.raises(ValueError, match=message):
        await rerank.arank(*arguments, **options)


def test_a_score_that_is_not_finite_names_the_document(reranker_folder):
    engine = reranker(reranker_folder)
    engine.load()
    engine._model.decoder.embedding[PromptTokenizer(reranker_folder).encode(["ü"])[0][0]] = float("nan")
    with pytest.raises(NumericalError, match="score of input 1 is not finite") as caught:
        Qwen3Rerank(engine=engine).rank("q", ["a", "ü"])
    assert caught.value.indices == [1]
