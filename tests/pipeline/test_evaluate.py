"""Metrics against values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.beir import BeirData, read_beir
from qwen3_rag.evaluation.jsonl import read_lines
from qwen3_rag.evaluation.labels import question_id, read_labels
from qwen3_rag.evaluation.metrics import Run, by_question, measure, order, rounded
from qwen3_rag.evaluation.ranking import Ranked, by_document
from qwen3_rag.evaluation.report import report
from qwen3_rag.evaluation.threshold import separation
from qwen3_rag.evaluation.trec import read_run, trec_id, write_run
from scipy import stats
from support.hashing import HashingEmbedding

from .conftest import SHARED, write

BEIR: dict[str, str | bytes] = {
    "corpus.jsonl": '{"_id": "d1", "text": "one"}\n{"_id": "d2", "text": "two"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "one?"}\n{"_id": "q2", "text": "not judged"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq9\td2\t1\n",
}


def with_trec_ids(run: Run) -> Run:
    """A run by the names that a file has."""
    return {trec_id(one): {trec_id(name): value for name, value in found.items()} for one, found in run.items()}


def test_metrics_of_a_known_ranking() -> None:
    qrels = {"a": {"x": 1, "y": 1}, "b": {"z": 1}}
    run = {"a": {"o": 3.0, "x": 2.0, "y": 1.0}}  # nothing was found for b
    ndcg = (1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3)) / 2
    assert measure(qrels, run) == pytest.approx({"ndcg@10": ndcg, "mrr@10": 0.25, "recall@50": 0.5}, abs=1e-6)


def test_further_metrics_of_a_known_ranking() -> None:
    qrels = {"a": {"x": 1, "y": 2, "w": 1}, "b": {"z": 1}}
    run = {"a": {"o": 3.0, "x": 2.0, "y": 1.0}, "b": {"o": 2.0, "z": 1.0}}
    found = by_question(qrels, run, ["hit@1", "hit@2", "map@2", "map@100"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "hit@1": [0, 0],
        "hit@2": [1, 1],
        "map@2": pytest.approx([(1 / 2) / 3, 1 / 2]),
        "map@100": pytest.approx([(1 / 2 + 2 / 3) / 3, 1 / 2]),
    }


def test_judged_is_the_share_of_the_first_ones_that_somebody_has_judged() -> None:
    run = {"a": {"x": 3.0, "y": 2.0, "z": 1.0}}
    found = by_question({"a": {"x": 1, "z": 0}}, run, ["judged@1", "judged@2", "recall@1"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "judged@1": [1.0], "judged@2": [0.5], "recall@1": [1.0],
    }  # fmt: skip
    assert rounded(2 / 3) == 0.666667


def test_a_document_counts_with_its_best_passage() -> None:
    hits = [
        NodeWithScore(node=TextNode(text=str(score), metadata={"beir_id": name}), score=score)
        for name, score in (("d1", 0.2), ("d2", 0.5), ("d1", 0.9))
    ]
    assert by_document(BeirData({"q": "?"}, {"q": {"d1": 1}}), "q", hits) == {"d1": 0.9, "d2": 0.5}


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


def test_a_heading_stands_for_its_section_with_all_below_it() -> None:
    paths = {"a.md": {"Guide > Install > Linux", "Guide > Use"}, "a.md#x": {""}, "docs/b#c.md": {"C"}}
    Path("l.tsv").write_text(
        "one\ta.md#install\none\ta.md#Guide > Use\ntwo\ta.md#x\nthree\tdocs/b#c.md#C\nfour\ta.md#Guide > Linux\n"
    )
    labels = read_labels(Path("l.tsv"), paths)
    one, two, three = (question_id(text) for text in ("one", "two", "three"))
    assert labels.qrels == {
        one: {"a.md#install": 1, "a.md#Guide > Use": 1},
        two: {"a.md#x": 1},
        three: {"docs/b#c.md#C": 1},
    }
    assert labels.unusable == ["l.tsv:5: a.md has no heading 'Guide > Linux'"]

    def named(question: str, source: str, path: str) -> str:
        node = TextNode(text="t", metadata={"source": source, "header_path": path})
        return labels.document(question, NodeWithScore(node=node))

    assert named(one, "a.md", "Guide > Install > Linux") == "a.md#install"
    assert named(one, "a.md", "Guide > Else") == "a.md#Guide > Else"
    assert named(two, "a.md#x", "") == "a.md#x"


def test_thresholds_keep_what_they_say() -> None:
    qrels = {f"q{i}": {"good": 1, "bad": 0} for i in range(40)}
    run = {f"q{i}": {"good": 0.5 + i / 100, "bad": 0.3 + i / 100, "other": 0.1} for i in range(40)}
    found = separation(qrels, run)
    assert found is not None
    assert found.separates
    assert found.base == pytest.approx(1 / 3)
    pairs = [(score, name == "good") for scores in run.values() for name, score in scores.items()]
    for one in found.thresholds:
        kept = [good for score, good in pairs if score >= one.score]
        assert one.precision == pytest.approx(sum(kept) / len(kept))
        assert one.recall == pytest.approx(sum(kept) / 40)
    assert [one.recall for one in found.thresholds] == [1.0, 0.95, 0.9, 0.75, 0.5, 0.25]
    wins = [(a > b) + (a == b) / 2 for a, x in pairs if x for b, y in pairs if not y]
    assert found.area == pytest.approx(sum(wins) / len(wins))


def test_scores_that_tell_nothing_give_no_threshold() -> None:
    qrels = {f"q{i}": {f"d{i % 3}": 1} for i in range(30)}
    run = {f"q{i}": {f"d{n}": (n + i // 3) % 3 / 10 for n in range(3)} for i in range(30)}
    found = separation(qrels, run)
    assert found is not None
    assert not found.separates
    assert found.thresholds == []
    assert separation({"q": {"d": 1}}, {"q": {"d": 0.5}}) is None, "nothing to tell apart from"


def test_a_run_file_is_read_as_it_was_written() -> None:
    run = {"q 1": {"a b": 1 / 3, "c\u00a0d": 1e-17, "e": 0.1 + 0.2}, "q2": {"x%20y": 1.0}}
    write_run(Path("r.run"), run)
    assert read_run(Path("r.run")) == with_trec_ids(run)
    for bad in ("q1 Q0 d1 1 0.5", "q1 Q0 d1 1 high t", "q1 Q0 d1 1 nan t", "q1 Q0 d1 1 1 t\nq1 Q0 d1 2 1 t", ""):
        Path("bad.run").write_text(bad)
        with pytest.raises(ConfigError, match=r"bad\.run"):
            read_run(Path("bad.run"))


def test_scores_closer_than_32_bits_keep_their_order() -> None:
    """Saturated probabilities: what the user sees first counts as first."""
    run = {"q": {"best": 0.99999999, "z": 0.999999989, "y": 0.999999988}}
    assert measure({"q": {"best": 1}}, run)["mrr@10"] == 1


@pytest.mark.parametrize("name", ["cranfield", "cisi"])
def test_figures_of_real_judgements_are_those_of_another_computation(name: str) -> None:
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not at {folder}")
    data = read_beir(folder)
    texts = {str(row["_id"]): f"{row['title']} {row['text']}" for row in read_lines(data.corpus)}
    embed = HashingEmbedding(dimension=128)
    matrix = np.array([embed.get_text_embedding(text) for text in texts.values()])
    runs: dict[str, dict[str, dict[str, float]]] = {"dense": {}, "reranked": {}}
    for question, text in data.queries.items():
        scores = dict(zip(texts, (matrix @ np.array(embed.get_query_embedding(text))).tolist(), strict=True))
        runs["dense"][question] = {one: scores[one] for one in order(scores)[:50]}
        words = set(text.lower().split())
        runs["reranked"][question] = {
            one: len(words & set(texts[one].lower().split())) / 50 + 0.01 * scores[one]
            for one in runs["dense"][question]
        }
    ranked = [
        Ranked(one, "", runs["dense"][one], runs["reranked"][one], {"dense": 0.0}, 50, {}) for one in data.queries
    ]
    result = report(ranked, data, 50)
    values = {
        stage: np.array([_ndcg(data.qrels[one], run[one]) for one in data.queries]) for stage, run in runs.items()
    }
    for stage, found in values.items():
        assert result[stage]["ndcg@10"] == pytest.approx(found.mean(), abs=1e-6)
        ends = stats.bootstrap((found,), np.mean, method="percentile", rng=2).confidence_interval
        error = found.std() / len(found) ** 0.5
        assert result["intervals"][stage]["ndcg@10"] == pytest.approx([ends.low, ends.high], abs=0.12 * error)
    gains = values["reranked"] - values["dense"]
    assert result["difference"]["ndcg@10"]["mean"] == pytest.approx(gains.mean(), abs=1e-6)
    signs = np.random.default_rng(5).choice([-1, 1], (20_000, len(gains)))
    p = (np.count_nonzero(np.abs(signs @ gains) >= abs(gains.sum()) - 1e-9) + 1) / 20_001
    assert result["difference"]["ndcg@10"]["p"] == pytest.approx(p, abs=5 * (p * (1 - p) / 20_000) ** 0.5 + 1e-4)
    again = report(ranked, data, 50, against=with_trec_ids(runs["reranked"]))
    assert {(one["mean"], one["p"]) for one in again["difference"].values()} == {(0, 1)}


def _ndcg(grades: Mapping[str, int], run: Mapping[str, float]) -> float:
    def gain(listed: list[int]) -> float:
        return sum(grade / math.log2(place + 2) for place, grade in enumerate(listed[:10]))

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(one, 0) for one in order(run)]) / best if best else 0.0
