"""`evaluate --html`: what the object says, as a page that is valid, small, and the same each time."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.evaluation.compared import Compared, compared
from qwen3_rag.evaluation.histogram import BINS, histograms
from qwen3_rag.evaluation.metrics import Run
from qwen3_rag.evaluation.report import report_of
from qwen3_rag.evaluation.trec import read_run, write_run
from qwen3_rag.pages.axes import Scale
from qwen3_rag.pages.charts import Measured, mirrored, scatter, sorted_outline
from qwen3_rag.pages.measured import MAX_BYTES, evaluation_page, verdict
from support.html_pages import HOSTILE, find, parsed, text
from support.judged import judged
from typer.testing import CliRunner

from .conftest import write

WORDS = ["apple", "bread", "cloud", "drill", "eagle", "flame", "grape", "house", "igloo", "jelly", "knife", "lemon"]


def page_of(count: int, against: Run | None = None, title: str = "judged", **options: Any) -> str:
    found = compared(*judged(count, **options), against)
    result = report_of(found, 50, against is not None)
    return evaluation_page(title, result, found.rows(), histograms(found), {"collection": options.get("text", "docs")})


@pytest.fixture(scope="module")
def found() -> Compared:
    return compared(*judged(225))


@pytest.fixture(scope="module")
def result(found: Compared) -> dict[str, Any]:
    return report_of(found, 50)


@pytest.fixture(scope="module")
def page(found: Compared, result: dict[str, Any]) -> str:
    return evaluation_page("judged", result, found.rows(), histograms(found), {"collection": "docs"})


@pytest.fixture(scope="module")
def root(page: str) -> Element:
    return parsed(page)


def test_225_questions_are_all_there_and_each_opens_its_lists(page: str, root: Element, found: Compared) -> None:
    assert len(page.encode()) < MAX_BYTES
    rows = {row["question"]: row for row in found.rows()}
    shown = [one for one in find(root, "details") if one.get("class") in ("gain", "loss", "same")]
    assert len(shown) == 225
    for one in shown:
        row = rows[text(find(one, "bdi")[0])]
        assert float(text(find(one, "b")[0])) == pytest.approx(row["gain"], abs=6e-4)
        lists = find(one, "ol")
        for listed, expected in zip(lists, (row["before"], row["after"]), strict=True):
            items = find(listed, "li")
            assert [int(item.get("value", "")) for item in items] == [there["rank"] for there in expected]
            assert [item.get("class") == "r" for item in items] == [there["relevant"] for there in expected]
            assert all(there["document"] in text(item) for item, there in zip(items, expected, strict=True))
    gains = [float(text(find(one, "b")[0])) for one in shown if one.get("class") == "gain"]
    assert gains == sorted(gains, reverse=True)
    wins, losses = (sum(one.get("class") == kind for one in shown) for kind in ("gain", "loss"))
    assert f"Better than the first stage: {wins}" in text(root)
    assert f"Worse: {losses}" in text(root)


def test_the_table_says_what_the_object_says(root: Element, result: dict[str, Any]) -> None:
    for name, one in result["difference"].items():
        [row] = [there for there in find(find(root, "tbody")[0], "tr") if text(there).strip().startswith(name)]
        for stage in ("dense", "reranked"):
            low, high = result["intervals"][stage][name]
            assert f"{result[stage][name]:.4f} [{low:.4f}, {high:.4f}]" in text(row)
        assert f"{one['mean']:+.4f}" in text(row)
        assert f"{one['wins']} / {one['ties']} / {one['losses']}" in text(row)
    assert verdict(result) in text(root)
    assert f"seed {result['seed']}" in text(root)


def test_the_same_each_time(page: str) -> None:
    assert page == page_of(225)


def test_the_verdict_is_no_stronger_than_its_test() -> None:
    def said(mean: float, p: float, against: bool = False) -> str:
        difference = {"ndcg@10": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "p": p}}
        return verdict({"difference": difference, "against": against})

    assert said(0.2, 0.001).startswith("Reranking is better than the first stage alone: nDCG@10 +0.2000")
    assert said(-0.2, 0.001, against=True).startswith("This run is worse than the other run")
    assert said(0.2, 0.06).startswith("No difference to the first stage alone is shown")


def test_a_threshold_is_drawn_where_one_separates_and_else_denied(root: Element, found: Compared) -> None:
    apart, alike = root, parsed(page_of(60, apart=0.0))
    assert len(find(apart, "path", "mark")) == 2
    assert find(alike, "path", "mark") == []
    assert text(alike).count("No threshold separates them.") == 2
    reranked = histograms(found)["reranked"]
    best = [row for row in reranked["separation"]["thresholds"] if f"{row['score']:.4g} up" in text(apart)]
    assert len(best) == 1
    rows = [text(row) for row in find(find(apart, "details", "thresholds")[0], "tr")[1:]]
    assert len(rows) == len(reranked["separation"]["thresholds"])


def test_histograms_count_every_candidate() -> None:
    for one in histograms(compared(*judged(30))).values():
        assert (sum(one["relevant"]), sum(one["others"])) == (150, 1350)
        assert len(one["edges"]) == BINS + 1
    assert histograms(compared(*judged(30)))["reranked"]["edges"][0::BINS] == [0, 1]


def test_one_stage_alone_shows_what_each_question_reached() -> None:
    root = parsed(page_of(25, second=False))
    assert find(root, "svg", "outline") == []
    assert [len(find(one, "ol")) for one in find(root, "details")] == [1] * 25
    assert "nDCG@10 is 0." in text(root)


def test_against_another_run_and_few_questions() -> None:
    ranked, _ = judged(5)
    base = {one.id: dict.fromkeys(one.dense, 0.5) for one in ranked}
    said = text(parsed(page_of(5, base)))
    assert "minus the other run" in said
    assert "5 questions are few" in said


def test_names_with_spaces_are_the_same_in_a_run_from_a_file(tmp_path: Path) -> None:
    ranked, labels = judged(6, text=" of two words")
    write_run(tmp_path / "one.run", {one.id: dict(one.last) for one in ranked})
    for row in compared(ranked, labels, read_run(tmp_path / "one.run")).rows():
        assert row["gain"] == 0
        assert row["before"] == row["after"], "as relevant, and with the same text"
        assert any(one["relevant"] for one in row["before"])


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_stay_texts(kind: str) -> None:
    page = page_of(12, title=HOSTILE[kind], text=HOSTILE[kind])
    root = parsed(page)
    assert find(root, "script") == find(root, "img") == find(root, "use") == []
    assert len(page.encode()) < MAX_BYTES


@pytest.mark.parametrize(("count", "letter"), [(700, "<"), (300, "文")])
def test_many_questions_with_long_texts_are_cut_and_said(count: int, letter: str) -> None:
    page = page_of(count, text=letter * 300)
    assert len(page.encode()) < MAX_BYTES
    assert "more questions, those that moved least, are not listed" in text(parsed(page))


def call(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code != 1, result.stderr
    return result


def test_the_command_writes_it_beside_what_it_says(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    rows = [{"_id": f"d{i}", "text": f"{word} {word}s and other {word} things"} for i, word in enumerate(WORDS)]
    asked = [{"_id": f"q{i}", "text": f"what is <a> {word}"} for i, word in enumerate(WORDS)]
    files: dict[str, str | bytes] = {
        "corpus.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "queries.jsonl": "".join(json.dumps(row) + "\n" for row in asked),
        "qrels/test.tsv": "".join(f"q{i}\td{i}\t1\n" for i in range(len(WORDS))),
    }
    write(Path("beir"), files)
    command = ("evaluate", "beir", "--quiet", "--json", "--top-k", "5", "--html", "page.html")
    command += ("--sweep-top-k", "2,5", "--sweep-dimensions", "8,16", "--fail-below", "ndcg@10=2")
    said = call(*command)
    assert said.exit_code == 5, "the page is written all the same"
    result = json.loads(said.stdout)
    root = parsed(Path("page.html").read_text(encoding="utf-8"))
    for row in result["sweep_top_k"]["rows"]:
        assert f"top_k {row['top_k']}" in text(root)
    assert f"{result['sweep_dimensions']['smallest']} dimensions are the fewest" in text(root)
    assert len([one for one in find(root, "svg") if "nDCG@10 against" in (one.get("aria-label") or "")]) == 2
    assert "what is <a> apple" in text(root)
    refused = call("evaluate", "beir", "--html", "none/page.html", "--uri", "missing.db")
    assert refused.exit_code == 2
    assert "no folder 'none'" in refused.stderr


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.41, 0.47), (0, 0.0003), (-3, 12), (0, 4321)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    ticks = Scale(low, high, 10, 400).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(10 <= tick.at <= 400 for tick in ticks)
    values = [float(tick.text.replace(",", "")) for tick in ticks]
    for tick, value in zip(ticks, values, strict=True):
        assert Scale(low, high, 10, 400).at(value) == tick.at, "a tick stands where its number says"


def test_names_of_points_do_not_lie_on_each_other() -> None:
    same = [Measured(1.0, 0.5, 0.4, 0.6, f"name {number}", "sweep") for number in range(6)]
    chart = scatter([*same, Measured(0, 0.5, 0.5, 0.5, "alone", "dense")], "s")
    labels = sorted(point.label for point in chart.points if point.name != "alone")
    assert all(after - before >= 12 for before, after in pairwise(labels))


def test_charts_of_nothing_much() -> None:
    flat = scatter([Measured(0.0, 0.0, 0.0, 0.0, "zero", "dense")], "s")
    assert (flat.line, flat.points[0].x) == ("", 44)
    empty = mirrored([0.0, 0.0, 0.0], [0, 0], [3, 0])
    assert empty.above == ""
    assert empty.below.startswith("M44.0 ")
    assert sorted_outline([0.0, 0.0], 100, 10) == ("", "")
    up, down = sorted_outline([1.0, 0.001, -1.0], 90, 20)
    assert re.findall("V([0-9.]+)H", up) == ["0.0", "9.0"], "the smallest gain is seen"
    assert re.findall("V([0-9.]+)H", down) == ["20.0"]
    long = sorted_outline([float(n) for n in range(10_000)], 100, 10)[0]
    assert long.count("M") < 400
