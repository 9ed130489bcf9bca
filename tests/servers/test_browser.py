"""The pages in headless Chromium, over a real service with the bundled pair.

apt-get install chromium chromium-driver
QWEN3_RAG_SHOTS=/tmp/shots pytest -m servers tests/servers/test_browser.py    # pictures are left there
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import qwen3_rag
from pydantic import SecretStr
from qwen3_rag.config import RagConfig
from qwen3_rag.pages.comparison import comparison_page
from qwen3_rag.pages.measured import evaluation_page
from qwen3_rag.pages.rendering import printable
from qwen3_rag.pages.words import marked
from qwen3_rag.query.phrasing import headline, score
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.session import Session
from support.browser import Browser, browser, missing
from support.html import HOSTILE
from support.judged import judged
from support.openai_server import OpenAIServer, Reply, Request
from support.service import Running, running
from support.texts import EDGE_CASES, random_text

pytestmark = [pytest.mark.servers, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

QUESTION = "Why does a reranker read the question and the passage together?"
EVIL = "<img src=x onerror=document.title='owned'>"
SHOWN = ("script", "handler", "javascript url", "data url", "svg", "template", "comment", "entity")
ANSWER = f"It reads both together [1], so it is exact [3][99] {EVIL} javascript:alert(1) [2]"
TOKEN = "correct-horse-battery"
IS_IDLE = "document.querySelector('#main').getAttribute('aria-busy') === 'false'"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as window:
        yield window


@pytest.fixture(scope="module")
def llm() -> Iterator[OpenAIServer]:
    def reply(request: Request) -> Reply:
        text = str(request.messages[-1]["content"])
        return Reply("the model is out", status=400) if "without a model" in text else Reply(ANSWER, pause=0.05)

    with OpenAIServer(reply) as server:
        yield server


@pytest.fixture(scope="module")
def session(llm: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "evil").mkdir()
    hostile = "\n\n".join(f"## {kind} {EVIL}\n\nA zebra {HOSTILE[kind]}" for kind in SHOWN)
    (folder / "evil" / "zebra.md").write_text(f"# {EVIL}\n\n{hostile}\n", encoding="utf-8")
    config = RagConfig(
        uri=str(folder / "kb.db"), embed_model="tiny", device="cpu", dtype="float32", hybrid=True, llm="test-model",
        llm_base_url=llm.url, llm_api_key=SecretStr("none"), server="none",
    )  # fmt: skip
    with Session(config) as opened:
        opened.ingest([Path(qwen3_rag.__file__).parent / "knowledge", folder / "evil"])
        yield opened


@pytest.fixture(scope="module")
def service(session: Session) -> Iterator[Running]:
    with running(Session(session.config, session.store, session.models), ServeSettings(port=0)) as started:
        yield started


@pytest.fixture
def page(chromium: Browser, service: Running) -> Iterator[Browser]:
    """The page, loaded anew. In the end it has complained of nothing and asked nobody else."""
    chromium.resize(1280, 1000)
    chromium.requested(), chromium.complaints()
    chromium.open(f"{service.url}/")
    chromium.until("document.querySelector('#about').textContent.includes('passages')")
    yield chromium
    others = [url for url in chromium.requested() if not url.startswith((f"{service.url}/", "data:"))]
    assert others == []
    assert [one for one in chromium.complaints() if "status of 40" not in one and "status of 50" not in one] == []
    assert chromium.js("document.title") == "Ask your documents"


def ask(page: Browser, question: str, *keys: str) -> None:
    page.js("document.querySelector('#query').select()")
    page.type("#query", question)
    page.press(*keys or ("Enter",))
    page.until(f"{IS_IDLE} && document.querySelector('#query').value === arguments[0]", question)


def shoot(page: Browser, name: str, width: int, height: int, *, dark: bool = False) -> None:
    if folder := os.environ.get("QWEN3_RAG_SHOTS"):
        page.look(Path(folder) / f"{name}.png", width, height, dark=dark)


def test_a_search_shows_what_the_service_says(page: Browser, service: Running) -> None:
    ask(page, QUESTION)
    found = service.search(QUESTION, top_k=10, top_n=10)
    for stage, place in (("dense", "first"), ("reranked", "second")):
        rows = found[stage]
        assert page.texts(f"#{place} .title") == [headline(row["text"], 120) for row in rows]
        assert page.texts(f"#{place} .score") == [score(row["score"]) for row in rows]
        assert page.texts(f"#{place} .rank") == [str(row["rank"]) for row in rows]
    bars = page.js("[...document.querySelectorAll('#second rect')].map((one) => one.width.baseVal.value)")
    assert bars == pytest.approx([row["score"] * 100 for row in found["reranked"]], abs=0.01)
    drawn = page.js(
        "[...document.querySelectorAll('#wires path')].map((one) => [one.dataset.p, one.getAttribute('class')])"
    )
    moves = dict(zip(page.js("[...document.querySelectorAll('#second .row')].map((one) => one.dataset.p)"),
                     page.texts("#second .move"), strict=True))  # fmt: skip
    assert {kind for _, kind in drawn} >= {"gain", "loss"}
    assert all(moves[one][0] == {"gain": "↑", "loss": "↓", "same": "="}[kind] for one, kind in drawn)
    best = found["reranked"][0]
    assert page.text("#p1 h3") == headline(best["text"], 120)
    assert "reranker" in page.texts("#p1 mark")
    shoot(page, "page-light", 1280, 1000)
    shoot(page, "page-dark", 1280, 1000, dark=True)
    shoot(page, "page-narrow", 390, 844)
    page.resize(1280, 1000)


def test_the_page_says_what_a_mailed_page_says(
    page: Browser, session: Session, chromium: Browser, tmp_path: Path
) -> None:
    """One renderer: what is made by the script, and what is made by the command line."""

    def shown() -> Any:
        return [
            page.texts(selector)
            for selector in (
                ".title",
                ".where",
                ".score",
                ".move",
                ".rank",
                ".card h3",
                ".ranks",
                ".card .text",
                "mark",
            )
        ]

    for question in (QUESTION, "検索の前に文書を分割するのはなぜですか", "zebra"):
        page.open(page.js("location.origin") + "/")
        ask(page, question)
        ours = shown(), page.text("#status")
        file = tmp_path / "page.html"
        file.write_text(comparison_page(session.search(question, top_n=10)), encoding="utf-8")
        page.js("window.stop()")
        url = page.js("location.origin")
        chromium.open(file.as_uri())
        assert (shown(), chromium.text(".summary")) == ours
        chromium.requested()
        chromium.open(f"{url}/")
        chromium.until("document.querySelector('#about').textContent.includes('passages')")


def test_the_toggle_leaves_the_second_stage_out(page: Browser) -> None:
    ask(page, QUESTION)
    page.click("#rerank")
    page.until(f"{IS_IDLE} && document.querySelector('.stages.alone')")
    assert page.texts("#second .title") == []
    assert page.js("document.querySelector('#wires').offsetWidth") == 0
    assert "no second one" in page.text("#status")
    page.click("#rerank")
    page.until(f"{IS_IDLE} && !document.querySelector('.stages.alone')")
    assert len(page.texts("#second .title")) == 10


def test_an_answer_is_streamed_and_its_numbers_lead_to_the_passages(page: Browser) -> None:
    page.js(
        "(() => { window.seen = []; new MutationObserver(() => seen.push(document.querySelector('#answer-text')"
        ".textContent)).observe(document.querySelector('#answer-text'), {childList: true}); })()"
    )
    ask(page, QUESTION, "Control", "Enter")
    assert page.text("#answer-text") == ANSWER
    assert any(one and one != ANSWER and ANSWER.startswith(one) for one in page.js("seen")), "piece by piece"
    assert page.texts(".cite") == ["[1]", "[3]", "[2]"], "99 leads nowhere"
    assert page.js("document.querySelectorAll('#answer img, #answer script').length") == 0
    shoot(page, "page-answer", 1280, 1000)
    page.click(".cite:nth-of-type(2)")
    assert page.js("document.activeElement.id") == "p3"
    assert page.js("location.hash") == "#p3"
    third = page.texts("#second .title")[2]
    assert page.text("#p3 h3") == third
    top = page.js("document.querySelector('#p3').getBoundingClientRect().top")
    page.until("document.querySelector('#p3').getBoundingClientRect().top < innerHeight")
    assert top is not None


def test_no_answer_is_said_and_the_passages_stay(page: Browser) -> None:
    ask(page, "without a model", "Control", "Enter")
    assert "the model is out" in page.text("#status")
    assert page.js("document.querySelector('#status').className") == "error"
    assert page.texts("#first .title")


def test_neighbours_on_a_click(page: Browser, service: Running) -> None:
    ask(page, QUESTION)
    found = service.search(QUESTION, top_k=10, top_n=10)["reranked"][0]
    assert found["position"] > 2
    page.click("#p1 .around button:last-child")
    page.until("document.querySelectorAll('#p1 .neighbour').length === 2")
    page.click("#p1 .around button:first-child")
    page.until("document.querySelectorAll('#p1 .neighbour').length === 4")
    place = found["position"]
    wanted = service.http.get("/passages", params={"source": found["source"], "from": place - 2, "count": 5}).json()
    titles = page.texts("#p1 h3, #p1 h4")
    ordered = [headline(one["text"]) for one in wanted["passages"]]
    assert titles == ordered
    shoot(page, "page-neighbours", 1280, 1200)
    for _ in range(10):
        if page.js("document.querySelector('#p1 .around button').disabled"):
            break
        page.click("#p1 .around button:first-child")
        page.until(
            "document.querySelectorAll('#p1 .neighbour').length > arguments[0]", len(page.texts("#p1 .neighbour")) - 1
        )
    page.until("document.querySelector('#p1 .around button').disabled")
    assert page.texts("#p1 h4")[0] == headline(
        service.http.get("/passages", params={"source": found["source"], "from": 0, "count": 1}).json()["passages"][0][
            "text"
        ]
    )


def test_filters_mode_instruction_and_wrong_ones(page: Browser) -> None:
    page.click(".more summary")
    page.type("#filters", "source=knowledge/rag.md")
    page.type("#instruction", "Given a question, retrieve passages on reranking")
    page.js("document.querySelector('#mode').value = 'hybrid'")
    ask(page, QUESTION)
    assert {one.split(" · ")[0] for one in page.texts("#first .where")} == {"knowledge/rag.md"}
    assert page.text("#mode-said") == "hybrid"
    shoot(page, "page-settings", 1280, 800)
    page.type("#filters", "\nnonsense {b}")
    page.press("Escape")
    ask(page, QUESTION)
    assert "nonsense {b}" in page.text("#status")
    assert page.js("document.querySelector('#stages').hidden"), "what was there is of another question"


def test_by_keys_alone(page: Browser) -> None:
    page.js("document.activeElement.blur()")
    page.press("/")
    assert page.js("document.activeElement.id") == "query"
    ask(page, QUESTION)
    page.js("document.querySelector('#first .row').focus()")
    page.press("ArrowDown")
    page.press("ArrowDown")
    one = page.js("document.activeElement.dataset.p")
    assert page.js("[...document.querySelectorAll('#first .row')].indexOf(document.activeElement)") == 2
    page.press("ArrowRight")
    assert page.js("[document.activeElement.closest('ol').id, document.activeElement.dataset.p]") == ["second", one]
    lit = page.js("[...document.querySelectorAll('.lit')].map((one) => one.tagName).sort()")
    assert lit == ["A", "A", "ARTICLE", "path"]
    page.press("Enter")
    assert page.js("document.activeElement.id") == one
    page.press("Escape")
    assert page.js("document.activeElement.closest('.list') !== null")


def test_hostile_passages_are_shown_as_they_are(page: Browser) -> None:
    page.click(".more summary")
    page.type("#filters", "source=evil/zebra.md")
    page.js("document.querySelector('#top_k').value = 50")
    ask(page, "zebra")
    said = "".join(page.texts(".card"))
    for kind in SHOWN:
        assert HOSTILE[kind] in said, kind
    made = "img, script, iframe, use, [onload], [onerror], [onmouseover], [style]"
    assert page.js("document.querySelector('main').querySelectorAll(arguments[0]).length", made) == 0
    hrefs = page.js("[...document.querySelectorAll('main a')].map((one) => one.getAttribute('href'))")
    assert all(re.fullmatch(r"#p\d+", one) for one in hrefs)
    ask(page, EVIL)
    assert EVIL in page.js("document.querySelector('#query').value")


def test_a_token_is_asked_for_and_kept_for_the_tab(chromium: Browser, session: Session) -> None:
    guarded = ServeSettings(port=0, token=SecretStr(TOKEN))
    with running(Session(session.config, session.store, session.models), guarded) as service:
        chromium.open(f"{service.url}/")
        chromium.until("document.querySelector('#ask-token').open")
        chromium.type("#token", "wrong")
        chromium.press("Enter")
        chromium.until("document.querySelector('#token-why').textContent.startsWith('That was not')")
        shoot(chromium, "page-token", 1280, 800)
        chromium.type("#token", TOKEN)
        chromium.press("Enter")
        chromium.until("document.querySelector('#about').textContent.includes('passages')")
        ask(chromium, QUESTION)
        assert len(chromium.texts("#first .title")) == 10
        assert chromium.js("[localStorage.length, document.cookie, location.href.includes('correct')]") == [
            0,
            "",
            False,
        ]
        chromium.open(f"{service.url}/")
        chromium.until("document.querySelector('#about').textContent.includes('passages')")
        assert not chromium.js("document.querySelector('#ask-token').open")


def test_the_script_finds_the_words_that_the_renderer_finds(page: Browser) -> None:
    draw = random.Random(4)
    texts = [random_text(draw) for _ in range(60)] + list(EDGE_CASES) + list(HOSTILE.values())
    texts += [
        "Why does dough rise?",
        "Grüner Tee soll ziehen",
        "文書は検索の前に分割します。",
        "हिन्दी भाषा",
        "cafe\u0301 ﬁle",
    ]
    texts = [one for one in texts if "\ud800" not in one]  # JSON carries no half a pair
    pairs = [(one, draw.choice(texts)) for one in texts for _ in range(3)] + [(one, one) for one in texts]
    ours = [[list(piece) for piece in marked(one, other)] for one, other in pairs]
    theirs = page.js("arguments[0].map(([one, other]) => marked(one, other))", pairs)
    different = [(pair, a, b) for pair, a, b in zip(pairs, ours, theirs, strict=True) if a != b]
    assert different == []
    assert page.js("arguments[0].map(printable)", texts) == [printable(one) for one in texts]
    values = [0.0, 1.0, 0.00099, 0.001, -0.5, 1.2e-7, 12.5, 3.4e-5]
    assert page.js("arguments[0].map(scoreOf)", values) == [score(one) for one in values]


def test_the_reports_are_readable_without_a_script(chromium: Browser, session: Session, tmp_path: Path) -> None:
    from qwen3_rag.evaluation.compared import compared
    from qwen3_rag.evaluation.histogram import histograms
    from qwen3_rag.evaluation.report import report_of

    found = compared(*judged(40, text=EVIL))
    pages = {
        "compare": comparison_page(session.search(QUESTION, top_n=10), {"collection": "docs"}),
        "evaluate": evaluation_page("judged", report_of(found, 50), found.rows(), histograms(found)),
    }
    for name, html in pages.items():
        file = tmp_path / f"{name}.html"
        file.write_text(re.sub("<script>.*</script>", "", html, flags=re.S), encoding="utf-8")
        chromium.requested(), chromium.complaints()
        chromium.open(file.as_uri())
        assert chromium.js("document.body.innerText.length") > 1_000
        assert [url for url in chromium.requested() if not url.startswith("file://")] == []
        assert chromium.complaints() == []
        for width in (1280, 390):
            chromium.resize(width, 900)
            assert chromium.js("document.documentElement.scrollWidth") <= width, "nothing is cut off at the side"
    chromium.js("(() => { document.querySelector('.asked summary').click(); })()")
    assert chromium.js("document.querySelector('.asked details').open")
    assert EVIL in chromium.text(".asked details")
