"""Clients that come, ask, and vanish at any moment, beside others whose answers must stay the direct ones."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from qwen3_rag.session import Session
from support.seeds import examples, random_of
from support.service import Running, wait_until

from .conftest import Serving

CLIENTS = examples(60)
QUESTIONS = ("What does BM25 count?", "Why overlap?", "What does an upsert do?", "Where is data kept?")


def vanish(service: Running, number: int) -> None:
    """Part of a request, or a whole one and part of the answer, then nothing more; now and then with a reset."""
    chance = random_of(f"vanishing {number}")
    path = chance.choice(["/search", "/search", "/ask", "/v1/embeddings", "/v1/rerank", "/mcp", "/health"])
    body = json.dumps(
        {"query": chance.choice(QUESTIONS), "input": "x", "documents": ["a", "b"], "stream": True}
    ).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1])), 30) as connection:
        if chance.random() < 0.3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # leaves with a reset
        with suppress(OSError):
            connection.sendall(request[: chance.choice([len(request), chance.randrange(len(request))])])
            time.sleep(chance.random() * 0.05)
            if chance.random() < 0.5:
                connection.settimeout(0.2)
                connection.recv(chance.choice([1, 100, 4_000]))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted as Linux shows them")
def test_answers_stay_right_and_nothing_is_left_of_clients_that_vanish(serving: Serving, direct: Session) -> None:
    service = serving(body_seconds=1.0, waiting=CLIENTS)
    expected = {one: [row.node_id for row in direct.search(one).reranked or []] for one in QUESTIONS}
    assert service.search(QUESTIONS[0])
    files, threads = open_files(), threading.active_count()

    def come(number: int) -> None:
        if number % 3:
            vanish(service, number)
        else:
            question = QUESTIONS[number % len(QUESTIONS)]
            found = service.search(question)
            assert [row["node_id"] for row in found["reranked"]] == expected[question]

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(come, number) for number in range(CLIENTS)]:
            done.result(120)
    wait_until(lambda: service.service.turns.running == service.service.turns.waiting == 0)
    assert service.search(QUESTIONS[0])
    wait_until(lambda: open_files() <= files + 12)  # the pool of the client that stays, at most
    assert threading.active_count() <= threads + 50, "threads of the pools, which do not grow with the clients"
