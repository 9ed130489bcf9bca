"""`compare --html`: a page that is valid, small, the same each time, and shows every text as a text."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.pages.comparison import MAX_BYTES, compare, comparison_page
from qwen3_rag.pages.rendering import printable
from qwen3_rag.query.rows import RerankedRow, Row, SearchResult
from support.html_pages import HOSTILE, find, parsed, text
from support.seeds import random_of
from support.texts import EDGE_CASES, random_text
from typer.testing import CliRunner, Result

from .conftest import write


def row(number: int, rank: int, score: float = 0.5, **fields: Any) -> Row:
    given: dict[str, Any] = {"text": f"# Heading {number}\n\nPassage {number} on dough.", "source": f"d{number}.md"}
    return Row(rank=rank, score=score, node_id=str(number), **(given | fields))


def result(first: list[Row], second: list[Row] | None, **fields: Any) -> SearchResult:
    kept = None if second is None else [RerankedRow(**one.model_dump(), retrieval_score=0.1) for one in second]
    return SearchResult(**({"query": "Why does dough rise?", "dense": first, "reranked": kept} | fields))


def test_both_lists_their_lines_and_their_passages() -> None:
    first = [row(number, number) for number in range(1, 6)]
    second = [row(4, 1, 0.9), row(2, 2, 0.5), row(1, 3, 0.000034)]
    root = parsed(comparison_page(result(first, second), {"collection": "docs"}))
    left, right = find(root, "ol", "first")[0], find(root, "ol", "second")[0]
    assert [text(one).strip() for one in find(left, "bdi", "title")] == [f"Heading {n}" for n in range(1, 6)]
    assert [text(one) for one in find(right, "span", "move")] == ["↑3", "=", "↓2"]
    assert [text(one) for one in find(right, "span", "score")] == ["0.9000", "0.5000", "3.4e-05"]
    assert [float(one.get("width", "")) for one in find(right, "rect")] == [90, 50, 0]
    cards = {one.get("id"): text(one) for one in find(root, "article")}
    links = [one.get("href", "")[1:] for one in find(right, "a")]
    assert ["Passage 4" in cards[links[0]], "Passage 2" in cards[links[1]], "Passage 1" in cards[links[2]]] == [
        True
    ] * 3
    places = [text(one) for one in find(root, "span", "ranks")]
    assert places == ["4 → 1", "2 → 2", "1 → 3", "3 → not kept", "5 → not kept"]
    wires = {one.get("data-p"): (one.get("class"), one.get("d")) for one in find(root, "path")}
    assert wires[links[0]] == ("gain", "M0 35C50 35 50 5 100 5"), "from the fourth row to the first"
    assert [kind for kind, _ in wires.values()] == ["gone", "gone", "same", "loss", "gain"], "gains lie on top"
    assert "The best passage was number 4 before. 1 up, 1 down, 1 stayed, 2 not kept." in text(root)
    assert "collectiondocs" in text(root)


def test_one_stage_alone_and_nothing_at_all() -> None:
    root = parsed(comparison_page(result([row(1, 1)], None)))
    assert len(find(root, "ol")) == 1
    assert find(root, "path") == []
    for second in (None, []):
        assert "Nothing was found." in text(parsed(comparison_page(result([], second))))


def test_bars_of_scores_that_are_no_probabilities_go_to_the_highest() -> None:
    scores = [12.0, 6.0, -3.0]
    first = [row(number, number, score) for number, score in enumerate(scores, 1)]
    small = [row(1, 1, 0.0328), row(2, 2, 0.0164)]
    bars = [
        [line.bar for line in view.first.lines]
        for view in (
            compare(result(first, None), 9, 99),
            compare(result(small, None, mode="hybrid"), 9, 99),
            compare(result(small, None), 9, 99),
        )
    ]
    assert bars == [[100, 50, 0], [100, 50], [3.3, 1.6]]


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_stay_texts(kind: str) -> None:
    evil = HOSTILE[kind]
    fields = {"text": f"{evil}\n{evil}", "source": evil, "title": evil, "header_path": f"{evil} > {evil}", "page": evil}
    page = comparison_page(result([row(1, 1, **fields)], [row(1, 1, **fields)], query=evil), {evil: evil})
    root = parsed(page)
    assert len(find(root, "script")) == 1
    assert find(root, "img") == find(root, "use") == []
    titled = {"h1": evil, "bdi": evil.splitlines()[0], "p": evil}
    for (tag, said), name in zip(titled.items(), ("", "title", "text"), strict=True):
        there = text(find(root, tag, name)[0])
        assert " ".join(printable(said).split())[:100] in " ".join(there.split())
    assert len(page.encode()) < MAX_BYTES
    assert not {"\u202e", "\u2066", "\0", "\x1b"} & set(page)


@pytest.mark.parametrize("place", range(12))
def test_any_text_makes_a_valid_page(place: int) -> None:
    generator = random_of(f"page {place}")
    texts = [random_text(generator) for _ in range(8)] + list(EDGE_CASES)
    rows = [row(n, n, text=one, source=texts[-n], header_path=one, page=one) for n, one in enumerate(texts, 1)]
    moved = [one.model_copy(update={"rank": rank}) for rank, one in enumerate(reversed(rows), 1)]
    parsed(comparison_page(result(rows, moved, query=texts[0] or "?")))


@pytest.mark.parametrize(("count", "letter"), [(10, "x"), (100, "<"), (100, "文"), (2000, "\U0001f600"), (2000, "&")])
def test_a_page_is_small_and_says_what_is_not_on_it(count: int, letter: str) -> None:
    rows = [row(n, n, text=f"# {letter * 80}\n\n{letter * 12_000}", source=letter * 900) for n in range(1, count + 1)]
    page = comparison_page(result(rows, list(reversed(rows)), query=letter * 9_000))
    assert len(page.encode()) < MAX_BYTES
    shown = len(find(parsed(page), "article"))
    assert shown >= 10
    assert ("more passages have no row" in page) == (shown < count)
    assert "Cut here" in page


def test_the_ordinary_page_is_whole() -> None:
    rows = [row(n, n, text=f"# Heading {n}\n\n" + f"word {n} " * 250) for n in range(1, 11)]
    page = comparison_page(result(rows, rows))
    assert "Cut here" not in page
    assert "no row" not in page
    assert page == comparison_page(result(rows, rows)), "the same each time"


def call(*arguments: str) -> Result:
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code != 1, found.stderr
    return found


@pytest.fixture
def ingested(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    tea = "# Tea\n\n## Green\n\nSteep it.\n\n## Black\n\nBoil it.\n"
    write(Path("docs"), {"tea.md": tea, "x.md": HOSTILE["script"]})
    assert call("ingest", "docs", "--quiet").exit_code == 0


@pytest.mark.usefixtures("ingested")
def test_the_command_writes_it_beside_what_it_says(pair: Path) -> None:
    said = call("compare", "How long does tea steep?", "--html", "page.html", "--filter", "source!=docs/none.md")
    assert said.exit_code == 0
    assert "page.html" in said.stderr
    page = Path("page.html").read_text(encoding="utf-8")
    root = parsed(page)
    assert len(find(root, "article")) == 3
    for words in ("source!=docs/none.md", "embedding", "docs/tea.md · Tea"):
        assert words in text(root)
    assert str(pair.parent) not in page, "a page is mailed: it does not say where models lie"
    again = call("compare", "How long does tea steep?", "--html", "page.html", "--json", "--no-rerank")
    assert json.loads(again.stdout)["reranked"] is None
    assert len(find(parsed(Path("page.html").read_text(encoding="utf-8")), "ol")) == 1
    assert [one.name for one in Path().iterdir() if one.name.startswith("page")] == ["page.html"]


@pytest.mark.usefixtures("ingested")
def test_a_place_where_nothing_can_be_written_is_said_before_the_work() -> None:
    Path("shut").mkdir(mode=0o500)
    for name, words in (("docs", "is a folder"), ("none/page.html", "no folder 'none'"), ("shut/page.html", "shut")):
        if name.startswith("shut") and os.geteuid() == 0:
            continue  # root writes anywhere
        refused = call("compare", "Tea?", "--html", name, "--uri", "missing.db")
        assert refused.exit_code == 2
        assert words in refused.stderr
