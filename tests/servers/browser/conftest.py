"""Headless Chromium before a real service over the bundled pair, with a language model on loopback.

apt-get install chromium chromium-driver
QWEN3_RAG_SHOTS=/tmp/shots pytest -m servers tests/servers/browser    # pictures are left there
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import qwen3_rag
from pydantic import SecretStr
from qwen3_rag.config import RagConfig
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.session import Session
from support.browser import Browser, browser, missing
from support.html_pages import HOSTILE
from support.openai_server import OpenAIServer, Reply, Request
from support.service import Running, running

QUESTION = "Why does a reranker read the question and the passage together?"
EVIL = "<img src=x onerror=document.title='owned'>"
SHOWN = ("script", "handler", "javascript url", "data url", "svg", "template", "comment", "entity")
ANSWER = f"It reads both together [1], so it is exact [3][99] {EVIL} javascript:alert(1) [2]"
TOKEN = "correct-horse-battery"
IS_IDLE = "document.querySelector('#main').getAttribute('aria-busy') === 'false'"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if reason := missing():
        pytest.skip(reason)
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
