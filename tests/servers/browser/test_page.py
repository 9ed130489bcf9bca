"""What the page does: searches, the reranker switched, streamed answers, neighbours, settings, keys."""

from __future__ import annotations

import pytest
from qwen3_rag.query.phrasing import headline, score
from support.browser import Browser
from support.service import Running

from .conftest import ANSWER, IS_IDLE, QUESTION, ask, shoot

pytestmark = pytest.mark.servers


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
    above, below = 2, 2
    while above < place:
        above = min(above + 2, place)
        page.click("#p1 .around button:first-child")
        page.until("document.querySelectorAll('#p1 .neighbour').length === arguments[0]", above + below)
    page.until("document.querySelector('#p1 .around button').disabled")
    every = service.http.get("/passages", params={"source": found["source"], "from": 0, "count": place + 3}).json()
    assert page.texts("#p1 h3, #p1 h4") == [headline(one["text"]) for one in every["passages"]]


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
