"""A service on a real port of this process, for as long as a test needs it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from qwen3_rag.serve.app import make_app
from qwen3_rag.serve.running import lifespan_of
from qwen3_rag.serve.service import Service
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.session import Session


@dataclass
class Running:
    """`http` is a client of it, with the token where it wants one."""

    service: Service
    url: str
    http: httpx.Client
    said: list[str]

    def search(self, query: str, **fields: Any) -> Any:
        return good(self.http.post("/search", json={"query": query, **fields}))


def good(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    """The error of an answer in the shape that all errors have."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body["error"]) == {"message", "type"}
    for word in words:
        assert word in body["error"]["message"]
    assert "Traceback" not in answer.text
    return dict(body)


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events as they come."""
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@contextmanager
def running(session: Session, settings: ServeSettings | None = None, also: Sequence[str] = ()) -> Iterator[Running]:
    """Until the end of the block, ready from its beginning."""
    service = Service(session, settings or ServeSettings(port=0), also)
    said: list[str] = []
    failures: list[BaseException] = []
    app = make_app(service, lifespan_of(service, say=said.append, fail=failures.append))
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_level="error", server_header=False, lifespan="on", ws="none", timeout_graceful_shutdown=10
        )
    )
    thread = threading.Thread(target=server.run, name="service")
    thread.start()
    try:
        wait_until(lambda: (service.is_ready and server.started) or failures)
        if failures:
            raise failures[0]
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        token = service.settings.token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
            yield Running(service, url, http, said)
    finally:
        server.should_exit = True
        thread.join(60)
        assert service.jobs.stop(30)
        service.close()


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
