"""`qwen3-rag evaluate` on own labels and on BEIR folders as they are found: what it says, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.evaluation import ranking
from qwen3_rag.evaluation.trec import read_run
from typer.testing import CliRunner, Result

from .conftest import write

WORDS = ["apple", "bread", "cloud", "drill", "eagle", "flame", "grape", "house", "igloo", "jelly", "knife", "lemon"]
METRICS = {"ndcg@10", "mrr@10", "recall@50"}
LITTLE: dict[str, str | bytes] = {
    "corpus.jsonl": '{"_id":"d1","text":"Yeast makes dough rise."}\n{"_id":"d2","text":"Tyres need air."}\n',
    "queries.jsonl": '{"_id":"q1","text":"why does dough rise"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
}


@pytest.fixture(autouse=True)
def _models(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")


@pytest.fixture
def folder() -> Path:
    corpus = [{"_id": f"d{i}", "text": f"{word} {word}s and other {word} things"} for i, word in enumerate(WORDS)]
    queries = [{"_id": f"q{i}", "text": f"what is a {word}"} for i, word in enumerate(WORDS)]
    files: dict[str, str | bytes] = {
        "corpus.jsonl": "".join(json.dumps(row) + "\n" for row in corpus),
        "queries.jsonl": "".join(json.dumps(row) + "\n" for row in queries),
        "qrels/test.tsv": "".join(f"q{i}\td{i}\t1\n" for i in range(len(WORDS))),
    }
    return write(Path("beir"), files)


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code != 1, result.stderr
    return result


def last(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def evaluate(*arguments: object) -> dict[str, Any]:
    result = call("evaluate", *arguments, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    return last(result)


def test_the_object_has_what_decides(folder: Path) -> None:
    result = evaluate(folder, "--top-k", "5")
    assert set(result["dense"]) == set(result["reranked"]) == METRICS
    assert result["questions"] == len(WORDS)
    for stage in ("dense", "reranked"):
        for name, (low, high) in result["intervals"][stage].items():
            assert low <= result[stage][name] <= high
    for name, one in result["difference"].items():
        assert set(one) >= {"mean", "low", "high", "p", "wins", "ties", "losses"}
        assert one["mean"] == pytest.approx(result["reranked"][name] - result["dense"][name], abs=2e-6)
        assert one["wins"] + one["ties"] + one["losses"] == len(WORDS)
        assert 0 < one["p"] <= 1
    assert set(result["seconds"]) == {"dense", "rerank"}
    assert 0 <= result["judged@10"] <= 1
    assert result["ceiling"]["metric"] == "recall@5"
    assert result["ceiling"]["mean"] == result["reranked"]["recall@50"], "reranking finds nothing new"
    moved = result["helped"] + result["hurt"]
    assert len(moved) == sum(result["difference"]["ndcg@10"][kind] for kind in ("wins", "losses")) or len(moved) == 20
    assert all(row["before"] and row["after"] and row["question"] for row in moved)


def test_further_metrics_stand_beside_the_others(folder: Path) -> None:
    arguments = ("--top-k", "5", "--metric", "recall@2", "--metric", "recall@2", "--metric", "ndcg@1")
    result = evaluate(folder, *arguments, "--fail-below", "recall@2=0")
    for part in ("dense", "reranked", "difference"):
        assert set(result[part]) == {*METRICS, "recall@2", "ndcg@1"}
    assert result["reranked"]["recall@2"] <= result["reranked"]["recall@50"]
    assert "recall@2" in call("evaluate", folder, *arguments).stdout


def test_a_run_against_itself_shows_no_difference(folder: Path) -> None:
    first = evaluate(folder, "--top-k", "5", "--save", "one.run")
    again = evaluate(folder, "--top-k", "5", "--against", "one.run", "--fail-below", "ndcg@10=against")
    for one in again["difference"].values():
        assert (
            one.items() >= {"mean": 0, "low": 0, "high": 0, "p": 1, "wins": 0, "ties": len(WORDS), "losses": 0}.items()
        )
    assert again["reranked"] == first["reranked"]
    rows = [line.split() for line in Path("one.run").read_text().splitlines()]
    assert all(len(row) == 6 and repr(float(row[4])) == row[4] for row in rows)
    assert evaluate(folder, "--rerank-model", "none", "--against", "one.run")["difference"] is not None


def test_a_better_base_and_a_value_too_low_are_exit_5(folder: Path) -> None:
    best = "".join(f"q{i} Q0 d{i} 1 1.0 other\n" for i in range(len(WORDS)))
    Path("best.run").write_text(best)
    common = ("evaluate", folder, "--top-k", "12", "--quiet", "--json", "--against", "best.run")
    base = call(*common, "--fail-below", "ndcg@10=against")
    assert base.exit_code == 5
    assert "worse than the base by more than its interval" in base.stderr
    assert last(base)["difference"]["ndcg@10"]["high"] < 0, "the object is printed all the same"
    assert call(*common, "--fail-below", "mrr@10=0.999").exit_code == 5
    assert call(*common, "--fail-below", "recall@50=1.0").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fail-below", "map=1"), "ndcg@10, mrr@10, recall@50"),
        (("--metric", "ndcg"), "ndcg@K"),
        (("--metric", "accuracy@3"), "recall@K"),
        (("--metric", "recall@0"), "from 1"),
        (("--fail-below", "ndcg@10=high"), "a number"),
        (("--fail-below", "ndcg@10=nan"), "a number"),
        (("--fail-below", "ndcg@10=against"), "--against"),
        (("--against", "missing.run"), "missing.run"),
        (("--sweep-dimensions", "8,x"), "whole numbers"),
        (("--sweep-dimensions", "9999"), "the size in the collection"),
        (("--labels", "l.tsv"), "either DIR"),
    ],
)
def test_wrong_options_are_explained(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    result = call("evaluate", folder, "--quiet", "--rerank-model", "none", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_run_of_other_questions_is_refused(folder: Path) -> None:
    Path("other.run").write_text("x1 Q0 d1 1 0.5 tag\n")
    result = call("evaluate", folder, "--quiet", "--rerank-model", "none", "--against", "other.run")
    assert result.exit_code == 2
    assert "'q0'" in result.stderr
    assert "'x1'" in result.stderr


BROKEN: dict[str, tuple[dict[str, str | bytes], int, str]] = {
    "blank": ({"qrels/test.tsv": LITTLE["qrels/test.tsv"] + "\n"}, 0, ""),  # type: ignore[operator]
    "float": ({"qrels/test.tsv": "q1\td1\t1.0\nq1\td2\t0\n"}, 0, ""),
    "bom": ({"queries.jsonl": b'\xef\xbb\xbf{"_id":"q1","text":"dough"}\n'}, 0, ""),
    "windows": ({"qrels/test.tsv": "query-id\tcorpus-id\tscore\r\nq1\td1\t1\r\n"}, 0, ""),
    "trec": ({"qrels/test.tsv": "q1\t0\td1\t1\n"}, 0, ""),
    "no text, not judged": (
        {"queries.jsonl": '{"_id":"q1","text":"dough"}\n{"_id":"q2"}\n'},
        0,
        "question q2 has no text",
    ),
    "latin1": ({"queries.jsonl": b'{"_id":"q1","text":"dough"}\n{"_id":"q2","text":"caf\xe9"}\n'}, 0, ":2: not UTF-8"),
    "empty, judged": (
        {
            "queries.jsonl": '{"_id":"q1","text":"dough"}\n{"_id":"q2","text":""}\n',
            "qrels/test.tsv": "q1\td1\t1\nq2\td1\t1\n",
        },
        3,
        "question q2 has no text",
    ),
    "half a grade": ({"qrels/test.tsv": "q1\td1\t1\nq1\td2\t0.5\n"}, 3, "test.tsv:2"),
    "spaces": ({"qrels/test.tsv": "q1\td1\t1\nq1 d2 1\n"}, 3, "test.tsv:2"),
    "an array": ({"queries.jsonl": '[1]\n{"_id":"q1","text":"dough"}\n'}, 0, "queries.jsonl:1: not an object"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_named_and_the_rest_measured(kind: str) -> None:
    change, code, said = BROKEN[kind]
    folder = write(Path("v"), {**LITTLE, **change})
    result = call("evaluate", folder, "--rerank-model", "none", "--quiet", "--json")
    assert result.exit_code == code, result.stderr
    assert last(result)["questions"] == 1
    assert last(result)["dense"]["recall@50"] == 1
    assert said in result.stderr
    assert (result.stderr == "") == (said == "")


def test_one_size_of_a_sweep_is_the_full_one_and_gives_the_same(folder: Path) -> None:
    result = evaluate(folder, "--top-k", "5", "--sweep-dimensions", "4,16", "--sweep-top-k", "3,5")
    rows = {row["dimensions"]: row for row in result["sweep_dimensions"]["rows"]}
    assert list(rows) == [4, 16, 32]
    assert rows[32]["reranked"] == result["reranked"]
    assert rows[32]["dense"] == result["dense"]
    assert rows[32]["difference"]["ndcg@10"]["p"] == 1
    assert rows[16]["bytes"] == 16 * 4 * 1_000_000
    assert result["sweep_dimensions"]["smallest"] in rows
    depths = {row["top_k"]: row for row in result["sweep_top_k"]["rows"]}
    assert depths[5]["reranked"] == result["reranked"]
    assert depths[3]["reranked"] == evaluate(folder, "--top-k", "3")["reranked"]
    assert depths[3]["seconds"] > 0


def test_cut_vectors_rank_as_a_collection_of_that_size(folder: Path) -> None:
    swept = evaluate(folder, "--top-k", "5", "--rerank-model", "none", "--sweep-dimensions", "16")["sweep_dimensions"]
    small = evaluate(folder, "--top-k", "5", "--rerank-model", "none", "--dimensions", "16", "--collection", "small")
    assert swept["rows"][0]["dense"] == small["dense"]


def test_an_interrupted_run_goes_on_where_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(folder, "--top-k", "5", "--save", "whole.run")
    monkeypatch.setattr(ranking, "TOGETHER", 2)
    real, asked = ranking._rank, []

    def breaks(session: Any, labels: Any, pairs: Any, batch: Any) -> Any:
        if len(asked) == 8:
            raise KeyboardInterrupt
        asked.extend(batch)
        return real(session, labels, pairs, batch)

    monkeypatch.setattr(ranking, "_rank", breaks)
    common = ("evaluate", folder, "--top-k", "5", "--quiet", "--json", "--save", "again.run")
    stopped = call(*common)
    assert stopped.exit_code == 130
    assert not Path("again.run").exists()
    assert len(asked) == 8
    asked.append("from now on it goes through")
    result = call(*common)
    assert result.exit_code == 0
    assert asked[9:] == [f"q{i}" for i in range(8, 12)], "what was done before is not done again"
    assert {**last(result), "seconds": 0} == {**whole, "seconds": 0}
    both = [read_run(Path(name)) for name in ("whole.run", "again.run")]
    for question, scores in both[0].items():
        assert both[1][question] == pytest.approx(scores, abs=1e-6)
    assert not list(Path("../cache").rglob("*.jsonl")), "nothing is left when it is done"


def test_where_nothing_can_be_kept_it_is_measured_or_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("file").absolute()))
    common = ("evaluate", folder, "--rerank-model", "none", "--quiet", "--json")
    assert call(*common).exit_code == 0
    for option in ("--runs", "--save"):
        refused = call(*common, option, "file/x")
        assert refused.exit_code == 2
        assert "file/x" in refused.stderr


def test_own_labels_on_the_collection_as_it_is() -> None:
    text = "# Guide\n\n## Tea\n\n### Green tea\n\nSteep it at 80 degrees.\n\n## Coffee\n\nGrind it fine.\n"
    write(Path("docs"), {"guide.md": text, "pets.txt": "Cats sleep a lot."})
    assert call("ingest", "docs", "--quiet").exit_code == 0
    [guide, pets] = sorted({row["source"] for row in last(call("search", "tea", "--json", "--top-k", "9"))["dense"]})
    lines = [
        f"How hot for green tea?\t{guide}#Green tea",
        f"How fine for coffee?\t{guide}#guide > coffee",
        f"Who sleeps?\t{pets}",
        f"Who sleeps?\t{guide}#Tea",
        f"Which?\t{guide}#Cocoa",
        "Nothing here",
        f"Where?\t{pets}x",
        "# a comment\twith a tab",
        "",
    ]
    Path("labels.tsv").write_text("\n".join(lines))
    result = call("evaluate", "--labels", "labels.tsv", "--json", "--quiet", "--save", "own.run")
    assert result.exit_code == 3
    for place, said in (("5", "no heading 'Cocoa'"), ("6", "no tab"), ("7", f"there is {pets!r}")):
        assert f"labels.tsv:{place}: " in result.stderr
        assert said in result.stderr
    found = last(result)
    assert found["questions"] == 3
    assert found["dense"]["recall@50"] == 1
    run = read_run(Path("own.run"))
    assert len(run) == 3
    assert any(f"{guide}#Green%20tea" in documents for documents in run.values())
    Path("labels.tsv").write_text("\n".join(lines[:4]))
    assert call("evaluate", "--labels", "labels.tsv", "--quiet").exit_code == 0
    Path("labels.tsv").write_text(lines[4])
    nothing = call("evaluate", "--labels", "labels.tsv", "--quiet")
    assert nothing.exit_code == 2
    assert "Cocoa" in nothing.stderr


def test_own_labels_may_name_the_lines_of_a_corpus() -> None:
    write(Path("b"), {"corpus.jsonl": LITTLE["corpus.jsonl"]})
    assert call("ingest", "b", "--quiet").exit_code == 0
    sources = {row["source"] for row in last(call("search", "x", "--json", "--rerank-model", "none"))["dense"]}
    Path("labels.tsv").write_text("".join(f"what of {source}?\t{source}\n" for source in sources))
    result = evaluate("--labels", "labels.tsv", "--rerank-model", "none")
    assert result["questions"] == 2
    assert result["dense"]["recall@50"] == 1


def test_the_tables_say_what_the_object_says(folder: Path) -> None:
    arguments = ("evaluate", folder, "--top-k", "5", "--quiet", "--sweep-dimensions", "8", "--sweep-top-k", "2,5")
    said = call(*arguments).stdout
    result = evaluate(*arguments[1:4])
    assert f"{result['reranked']['ndcg@10']:.4f}" in said
    for words in ("Ceiling", "judged@10", "seed 20260101", "score_threshold", "Smallest size", "s a question"):
        assert words in said
