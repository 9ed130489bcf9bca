"""`GET /`: one page without data, which a browser may neither frame nor let load anything."""

from __future__ import annotations

import json
import re

import httpx
from pydantic import SecretStr
from qwen3_rag.config import RagConfig
from qwen3_rag.pages.service import service_page
from qwen3_rag.pages.words import function_words
from qwen3_rag.serve.app import make_app
from qwen3_rag.serve.service import Service
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.session import Session
from support.html_pages import find, parsed

from .conftest import Serving

MAX_BYTES = 100_000


def test_it_is_valid_small_and_all_its_own() -> None:
    page, _ = service_page()
    assert len(page.encode()) < MAX_BYTES
    root = parsed(page)
    for one in find(root, "input") + find(root, "textarea") + find(root, "select"):
        labels = [label for label in find(root, "label") if one in label.iter() or label.get("for") == one.get("id")]
        assert len(labels) == 1, f"{one.get('id')} has no name for whoever does not see it"
    assert all(one.get("type") for one in find(root, "button"))
    scripts = [one.text or "" for one in find(root, "script")]
    assert not re.search("document.write|new Function|setAttribute\\(.on|srcdoc|DOMParser", "".join(scripts))
    [data] = [one for one in find(root, "script") if one.get("type") == "application/json"]
    assert set(json.loads(data.text or "")["functionWords"]) == function_words()


def test_a_stranger_gets_the_page_and_nothing_else(serving: Serving) -> None:
    guarded = serving(token=SecretStr("correct-horse-battery"))
    with httpx.Client(base_url=guarded.url, trust_env=False) as stranger:
        answer = stranger.get("/")
        assert stranger.get("/health").status_code == 401
    page, headers = service_page()
    assert answer.status_code == 200
    assert answer.text == page
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for name, value in headers.items():
        assert answer.headers[name] == value
    policy = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    for word in ("tiny", "docs ", "Milvus"):
        assert word not in page, "it holds no data"


async def test_it_is_there_while_the_models_are_loading(config: RagConfig) -> None:
    loading = make_app(Service(Session(config), ServeSettings(port=0)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(loading), base_url="http://127.0.0.1") as early:
        assert (await early.get("/")).status_code == 200
        assert (await early.get("/health")).status_code == 503
