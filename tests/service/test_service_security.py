"""Who may ask: token, Host and Origin, on every route there is."""

from __future__ import annotations

import logging
import socket

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from qwen3_rag import ConfigError, RagConfig, Session
from qwen3_rag.serve.app import GET, POST, PUBLIC, make_app
from qwen3_rag.serve.service import Service
from qwen3_rag.serve.settings import ServeSettings
from support.service import Running, good, refused

from .conftest import Serving

TOKEN = "correct-horse-battery"
ROUTES = [*(("GET", path) for path in GET), *(("POST", path) for path in POST), ("POST", "/mcp"), ("GET", "/jobs/1")]


@pytest.fixture
def guarded(serving: Serving) -> Running:
    return serving(token=SecretStr(TOKEN), allow_write=True)


def test_no_token_no_answer(guarded: Running, caplog: pytest.LogCaptureFixture) -> None:
    wrong = ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer Ω"]
    with caplog.at_level(logging.DEBUG), httpx.Client(base_url=guarded.url, trust_env=False) as stranger:
        for method, path in (*(one for one in ROUTES if one[1] not in PUBLIC), ("GET", "/nothing")):
            refused(stranger.request(method, path, json={} if method == "POST" else None), 401, "no token")
        for header in wrong:
            answer = stranger.get("/health", headers={"Authorization": header.encode()})
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        two = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer other")]
        refused(stranger.get("/health", headers=two), 401)
        assert good(stranger.get("/health", headers={"Authorization": f"bearer {TOKEN}"}))["status"] == "ok"
    assert good(guarded.http.post("/search", json={"query": "tea"}))["dense"]
    said = "".join(caplog.messages) + repr(guarded.service.settings) + "".join(guarded.said)
    assert TOKEN not in said


async def test_whoever_restarts_the_process_needs_neither_token_nor_models(config: RagConfig) -> None:
    """A probe of a container: a service that loads is alive, and /health is for those who ask."""
    loading = make_app(Service(Session(config), ServeSettings(port=0, token=SecretStr(TOKEN))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(loading), base_url="http://127.0.0.1") as probe:
        answer = await probe.get("/live")
        assert (answer.status_code, answer.json()) == (200, {"status": "live"})
        assert (await probe.get("/health")).status_code == 401
        assert (await probe.get("/health", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 503


@pytest.mark.parametrize("method_path", ROUTES, ids=" ".join)
def test_foreign_hosts_and_pages_are_refused(service: Running, method_path: tuple[str, str]) -> None:
    method, path = method_path
    port = service.url.rsplit(":", 1)[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", "a b"):
        refused(service.http.request(method, path, headers={"Host": host}), 421)
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{int(port) + 1}", f"http://localhost:{port}"):
        refused(service.http.request(method, path, headers={"Origin": origin}), 403)


def test_our_own_names_and_pages_are_not(service: Running) -> None:
    port = service.url.rsplit(":", 1)[1]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}", "127.0.0.1"):
        assert good(service.http.get("/health", headers={"Host": host, "Origin": f"http://{host}"}))["status"] == "ok"


def test_two_hosts_or_none_are_refused(service: Running) -> None:
    """Said by hand: no client sends it, and what stands before a service may read another one than the service."""
    address = ("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    for hosts in ("Host: 127.0.0.1\r\nHost: evil.example\r\n", ""):
        with socket.create_connection(address, 10) as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            status = connection.makefile("rb").readline()
        assert status.split()[1] in (b"400", b"421")


def test_another_host_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.168.0.4", "kb.example.org"):
        with pytest.raises(ConfigError, match="QWEN3_RAG_API_TOKEN"):
            ServeSettings(host=host)
        assert not ServeSettings(host=host, token=SecretStr(TOKEN)).is_loopback
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.53"):
        assert ServeSettings(host=host).is_loopback
    for token in ("", " ", "a\nb", "a b ", "päss"):
        with pytest.raises(ConfigError, match="QWEN3_RAG_API_TOKEN") as raised:
            ServeSettings(token=SecretStr(token))
        assert not token.strip() or token not in str(raised.value)
    with pytest.raises(ConfigError, match="--allow-host"):
        ServeSettings(allowed_hosts=["http://kb.example.org"])


def test_where_others_may_ask_an_address_is_ours_and_a_name_is_not() -> None:
    settings = ServeSettings(host="0.0.0.0", token=SecretStr(TOKEN), allowed_hosts=["kb.example.org"])
    for name in ("10.1.2.3", "kb.example.org", "KB.example.org.", "localhost", "fe80::1"):
        assert settings.allows_host(name)
    for name in ("evil.example", "kb.example.org.evil.example", "1.2.3", ""):
        assert not settings.allows_host(name)


@given(st.text(max_size=30))
def test_no_made_up_name_is_ours(name: str) -> None:
    allowed = {"localhost", "127.0.0.1", "::1"}
    assert ServeSettings().allows_host(name) == (name.lower().rstrip(".") in allowed)
