"""A real HTTP server that speaks OpenAI's chat protocol on a loopback port, with answers written by the test.

Replies are taken from a script, in order, or made by a function of the request; what was asked is kept. Streaming
(server-sent events), tool calls, error statuses and delays are spoken as the real API speaks them.

    with OpenAIServer([Reply("Paris [1].")]) as server:
        llm = OpenAI(api_base=server.url, api_key="test")
    assert server.requests[0].messages[-1]["role"] == "user"
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class ToolCall:
    """One call the model asks for."""

    name: str
    arguments: dict[str, Any]
    id: str = "call_1"


@dataclass(frozen=True)
class Reply:
    """One answer of the model. With `status` other than 200, an error of the API with `text` as its message.

    `pause` seconds pass between the pieces of a stream. `cut_after` ends a stream in the middle, after so many pieces,
    without its last event. `reasoning` goes out in the field of its own that servers with a reasoning parser send.
    `body` is sent instead of all that, as `content_type`; of an event stream, its events.
    """

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    status: int = 200
    delay: float = 0.0
    pause: float = 0.0
    cut_after: int | None = None
    reasoning: str = ""
    body: str | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Request:
    """What a client sent to /v1/chat/completions."""

    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body["messages"])

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))


Script = Sequence[Reply] | Callable[[Request], Reply]


@dataclass
class OpenAIServer:
    """The server; `url` is the base URL. A script that has run out answers with status 500."""

    script: Script
    models: Sequence[str] = ("test-model",)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, request: Request) -> Reply:
        """Record the request and give the next reply."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
        if callable(self.script):
            return self.script(request)
        if number < len(self.script):
            return self.script[number]
        return Reply("the script has no more replies", status=500)


class _Handler(BaseHTTPRequestHandler):
    server_state: OpenAIServer
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that did not wait
            super().handle()

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._json(404, _error("no such path"))
        rows = [{"id": name, "object": "model", "owned_by": "test"} for name in self.server_state.models]
        return self._json(200, {"object": "list", "data": rows})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            return self._json(404, _error("no such path"))
        request = Request(body, {key.lower(): value for key, value in self.headers.items()})
        reply = self.server_state.answer(request)
        time.sleep(reply.delay)
        if reply.body is not None:
            return self._send(reply.status, reply.body.encode(), reply.content_type)
        if reply.status != 200:
            return self._json(reply.status, _error(reply.text))
        if request.stream:
            return self._events(_chunks(reply, body["model"]), reply.cut_after, reply.pause)
        return self._json(200, _completion(reply, body["model"]))

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, raw: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _events(self, chunks: Iterator[dict[str, Any]], cut_after: int | None, pause: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for number, chunk in enumerate(chunks):
            if number == cut_after:
                return  # the closing zero-length chunk is missing: a connection that broke
            self._chunk(f"data: {json.dumps(chunk)}\n\n".encode())
            time.sleep(pause)
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, raw: bytes) -> None:
        self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "test_error", "code": None}}


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": json.dumps(one.arguments)}}
        for one in reply.tool_calls
    ]


def _completion(reply: Reply, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = _calls(reply)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if reply.tool_calls else "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _chunks(reply: Reply, model: str) -> Iterator[dict[str, Any]]:
    """The reply word by word, tool calls in pieces, and the end."""
    words = [word + " " for word in reply.text.split(" ")] if reply.text else []
    if words:
        words[-1] = words[-1][:-1]
    thoughts = [{"reasoning_content": reply.reasoning}] if reply.reasoning else []
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        *thoughts,
        *({"content": word} for word in words),
    ]
    for index, call in enumerate(_calls(reply)):  # the name first, then the arguments in pieces, as the real API
        arguments = call["function"]["arguments"]
        named = {**call, "function": {"name": call["function"]["name"], "arguments": ""}}
        deltas.append({"tool_calls": [{"index": index, **named}]})
        for start in range(0, len(arguments), 8):
            piece = {"index": index, "function": {"arguments": arguments[start : start + 8]}}
            deltas.append({"tool_calls": [piece]})
    end = "tool_calls" if reply.tool_calls else "stop"
    for delta, finish in [*((delta, None) for delta in deltas), ({}, end)]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        yield {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]}
