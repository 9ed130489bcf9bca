"""Bounds: of a request, of the queue, of the time; and clients that are slow, leave, or ask for too much."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from llama_index.core.llms import LLM
from support.openai_server import OpenAIServer, Reply
from support.service import Running, good, refused, wait_until

from .conftest import Serving, llm_of

QUESTION = {"query": "What does BM25 count?"}


@pytest.fixture
def slow() -> Iterator[LLM]:
    """A language model that takes two seconds."""
    with OpenAIServer(lambda _: Reply("BM25 counts words [1].", delay=2)) as server:
        yield llm_of(server)


def test_a_long_body_is_refused(serving: Serving) -> None:
    service = serving(body_bytes=10_000)
    refused(service.http.post("/search", json={"query": "x" * 10_000}), 413, "10000 bytes")
    refused(service.http.post("/mcp", json={"query": "x" * 10_000}), 413, "10000 bytes")

    def pieces() -> Iterator[bytes]:  # in chunks, so that its length is not announced
        for _ in range(100):
            yield b" " * 1_000

    headers = {"Content-Type": "application/json"}
    refused(service.http.post("/search", content=pieces(), headers=headers), 413, "10000 bytes")
    assert service.search("tea")


def test_one_too_many_is_told_to_come_back(serving: Serving, slow: LLM) -> None:
    service = serving(llm=slow, running=1, waiting=1)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: service.http.post("/ask", json=QUESTION), range(4)))
    assert sorted(one.status_code for one in answers) == [200, 200, 503, 503]
    full = next(one for one in answers if one.status_code == 503)
    refused(full, 503, "try again")
    assert 1 <= int(full.headers["retry-after"]) <= 60
    assert service.service.turns.running == service.service.turns.waiting == 0
    assert service.search("tea")


def test_a_stream_waits_for_its_turn_too(serving: Serving, slow: LLM) -> None:
    service = serving(llm=slow, running=1, waiting=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.http.post, "/ask", json=QUESTION)
        wait_until(lambda: service.service.turns.running)
        refused(service.http.post("/ask", json={**QUESTION, "stream": True}), 503, "try again")
        assert good(first.result())["answer"]


def test_what_takes_too_long_is_given_up(serving: Serving, slow: LLM) -> None:
    service = serving(llm=slow, timeout=0.4, changes={"llm_timeout": 0.1})
    began = time.monotonic()
    refused(service.http.post("/ask", json=QUESTION), 504, "0.5 s")
    assert time.monotonic() - began < 1.9
    with service.http.stream("POST", "/ask", json={**QUESTION, "stream": True}) as answer:
        said = "".join(answer.iter_text())
    assert "event: passages" in said
    assert "event: error" in said
    assert "0.5 s" in said
    assert "event: done" not in said
    wait_until(lambda: service.service.turns.running == 0)
    assert service.search("tea")


def test_nothing_is_done_for_clients_that_have_left(serving: Serving, slow: LLM) -> None:
    service = serving(llm=slow, running=1, waiting=10)
    for path, more in (("/ask", {}), ("/ask", {"stream": True}), ("/search", {})):
        body = {**QUESTION, **more}
        with ThreadPoolExecutor(5) as pool:
            gone = [pool.submit(httpx.post, f"{service.url}{path}", json=body, timeout=0.3) for _ in range(5)]
            for one in gone:
                if one.exception() is not None:
                    assert isinstance(one.exception(), httpx.ReadTimeout)
        began = time.monotonic()
        wait_until(lambda: service.service.turns.running == service.service.turns.waiting == 0, 1.5)
        assert service.search("tea")
        assert time.monotonic() - began < 1.8, "it waited for answers nobody wanted"
    assert 'status="499"' in service.http.get("/metrics").text


def test_slow_senders_hold_no_turn_and_are_given_up(serving: Serving) -> None:
    service = serving(running=1, waiting=0, body_seconds=0.5)
    address = ("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    head = "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    for path in ("/search", "/mcp"):
        with socket.create_connection(address, 10) as connection:
            connection.sendall(head.format(path).encode() + b'{"query"')
            assert service.search("tea")
            said = connection.makefile("rb").readline()
        assert said.split()[1] == b"400"


def test_a_client_that_does_not_read_holds_nobody_up(service: Running) -> None:
    address = ("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
    body = json.dumps({"query": "tea", "top_k": 60, "top_n": 60}).encode()
    head = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    threads = threading.active_count()
    deaf = [socket.create_connection(address, 10) for _ in range(20)]
    try:
        for connection in deaf:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.sendall(b"POST /search HTTP/1.1\r\n" + head.encode() + body)
        assert service.search("tea")
        wait_until(lambda: service.service.turns.running == 0)
    finally:
        for connection in deaf:
            connection.close()
    assert service.search("tea")
    assert threading.active_count() <= threads + 50, "of the pools, which do not grow with the clients"
