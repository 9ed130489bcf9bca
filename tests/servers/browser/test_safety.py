"""That the page and the reports show texts as texts, alike, to whom they may, and without a script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from qwen3_rag.evaluation.compared import compared
from qwen3_rag.evaluation.histogram import histograms
from qwen3_rag.evaluation.report import report_of
from qwen3_rag.pages.comparison import comparison_page, cut
from qwen3_rag.pages.measured import evaluation_page
from qwen3_rag.pages.rendering import printable
from qwen3_rag.pages.words import marked
from qwen3_rag.query.phrasing import headline, score
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.session import Session
from support.browser import Browser
from support.html_pages import HOSTILE
from support.judged import judged
from support.seeds import random_of
from support.service import running
from support.texts import EDGE_CASES, random_text

from .conftest import EVIL, QUESTION, SHOWN, TOKEN, ask, shoot

pytestmark = pytest.mark.servers


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
    draw = random_of("page")
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
    plain = [one for one in texts if not re.search("[\\ufeff\\x1c-\\x1f\\x85]", one)]  # what is space differs there
    assert page.js("arguments[0].map((one) => headline(one))", plain) == [headline(one, 120) for one in plain]
    assert page.js("cut(arguments[0], 9)", "\U0001f600" * 12) == cut("\U0001f600" * 12, 9)
    values = [0.0, 1.0, 0.00099, 0.001, -0.5, 1.2e-7, 12.5, 3.4e-5]
    assert page.js("arguments[0].map(scoreOf)", values) == [score(one) for one in values]


def test_the_reports_are_readable_without_a_script(chromium: Browser, session: Session, tmp_path: Path) -> None:
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
