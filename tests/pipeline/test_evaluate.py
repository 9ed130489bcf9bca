"""Metrics against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.beir import read_beir
from qwen3_rag.evaluation.ranking import by_document, measure

from .conftest import write

BEIR: dict[str, str | bytes] = {
    "corpus.jsonl": '{"_id": "d1", "text": "one"}\n{"_id": "d2", "text": "two"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "one?"}\n{"_id": "q2", "text": "not judged"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq9\td2\t1\n",
}


def test_metrics_of_a_known_ranking() -> None:
    qrels = {"a": {"x": 1, "y": 1}, "b": {"z": 1}}
    run = {"a": {"o": 3.0, "x": 2.0, "y": 1.0}}  # nothing was found for b
    ndcg = (1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3)) / 2
    assert measure(qrels, run) == pytest.approx({"ndcg@10": ndcg, "mrr@10": 0.25, "recall@50": 0.5}, abs=1e-6)


def test_a_document_counts_with_its_best_passage() -> None:
    hits = [
        NodeWithScore(node=TextNode(text=str(score), metadata={"beir_id": name}), score=score)
        for name, score in (("d1", 0.2), ("d2", 0.5), ("d1", 0.9))
    ]
    assert by_document(hits) == {"d1": 0.9, "d2": 0.5}


def test_only_judged_questions_are_asked() -> None:
    data = read_beir(write(Path("b"), dict(BEIR)))
    assert data.queries == {"q1": "one?"}
    assert data.qrels == {"q1": {"d1": 1}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qrels/test.tsv": "q1 d1 1\n"}, "test.tsv:1"),
        ({"queries.jsonl": "nonsense\n"}, "queries.jsonl:1"),
        ({"qrels/test.tsv": "q7\td1\t1\n"}, "no question"),
    ],
)
def test_a_folder_in_another_layout_is_refused(change: dict[str, str | bytes], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_beir(write(Path("b"), {**BEIR, **change}))
    Path("b/qrels/test.tsv").unlink()
    with pytest.raises(ConfigError, match=r"qrels/test\.tsv is missing"):
        read_beir(Path("b"))
