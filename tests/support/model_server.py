"""A real HTTP server on a loopback port that speaks the dialects of model servers, with one fault at a time.

with ModelServer("vllm", embedder=folder) as server:
    engine = RemoteEmbeddingEngine(server.url, "model", tokenizer=str(folder))
    with server.fault("429", times=2):
        engine.embed_queries(["How?"])
"""

import base64
import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from support import model_answers
from support.engines import embedder as local_embedder
from support.engines import reranker as local_reranker
from support.model_answers import SCORE_SHAPES, WITHOUT_INDEX

_COMPUTING = threading.Lock()
STATUSES = {"401": 401, "404": 404, "429": 429, "500": 500, "503": 503, "429 for long": 429, "redirect": 307}


@dataclass
class Seen:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class ModelServer:
    """`kind` is the dialect. `limits`: "texts" of a request, "characters" of a text, both refused with 4xx."""

    kind: str = "vllm"
    embedder: Path | None = None
    reranker: Path | None = None
    template: bool = False
    ids: str = "exact"
    """What becomes of token ids: "exact", "refused", or "decoded" and encoded again."""
    appends_end: bool = True
    reads_instructions: bool = True
    limits: dict[str, int] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fault, self._times, self._after = "", 0, 0
        self._lock, self._release = threading.Lock(), threading.Event()
        self._http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": self}))
        self.computing = _COMPUTING
        self.busy, self.busiest = 0, 0
        self._engine = local_embedder(self.embedder) if self.embedder and self.kind == "qwen3-rag" else None
        self._reranker = local_reranker(self.reranker) if self.reranker and self.kind == "qwen3-rag" else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "ModelServer":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @contextlib.contextmanager
    def fault(self, name: str, times: int = 1_000_000, after: int = 0) -> Iterator[None]:
        """`name` for the next `times` requests, behind `after` good ones."""
        self._release.clear()
        self._fault, self._times, self._after = name, times, after
        try:
            yield
        finally:
            self._fault = ""
            self._release.set()

    def fault_now(self) -> str:
        with self._lock:
            if not self._fault or self._times <= 0:
                return ""
            if self._after > 0:
                self._after -= 1
                return ""
            self._times -= 1
            return self._fault

    def hang(self) -> None:
        self._release.wait(60)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
        try:
            yield
        finally:
            with self._lock:
                self.busy -= 1

    def refusal(self, body: dict[str, Any]) -> tuple[int, str] | None:
        texts = next((body[name] for name in ("input", "inputs", "documents", "texts", "items") if name in body), [])
        if len(texts) > self.limits.get("texts", len(texts)):
            return 422, f"batch size {len(texts)} > maximum allowed batch size {self.limits['texts']}"
        if self.ids == "refused" and any(isinstance(text, list) for text in texts):
            return 400, "input must be a string or a list of strings"
        if any(len(text) > self.limits.get("characters", len(text)) for text in texts):
            return 400, "This model's maximum context length is 8 tokens. However, your prompt contains more"
        return None

    def answer(self, path: str, body: dict[str, Any], fault: str) -> Any:
        if path in ("/v1/embeddings", "/embed", "/api/embed"):
            return self._embeddings(path, body, fault)
        if not self.reads_instructions:
            body = {key: value for key, value in body.items() if key not in ("instruction", "instruct", "task")}
        if self._reranker:
            found = self._reranker.score(body["query"], body["documents"], instruction=body.get("instruction")).tolist()
        else:
            assert self.reranker is not None
            found = model_answers.scores(self.reranker, body, self.template)
        if fault == "logits":
            found = [float(np.log(p / (1 - p))) * 10 - 1 for p in found]
        shape = SCORE_SHAPES["/classify" if path == "/classify" else self.kind if self._has_shape(path) else path]
        return shape(_spoilt(sorted(enumerate(found), key=lambda item: -item[1]), fault, path, body))

    def _has_shape(self, path: str) -> bool:
        return self.kind in SCORE_SHAPES and path in ("/rerank", "/v1/rerank")

    def _embeddings(self, path: str, body: dict[str, Any], fault: str) -> Any:
        inputs = body.get("input", body.get("inputs"))
        if self._engine is not None and body.get("input_type") == "query":
            rows = list(self._engine.embed_queries(inputs, instruction=body.get("instruction")))
        elif self._engine is not None:
            rows = list(self._engine.embed_documents(inputs))
        else:
            rows = [self._vector(text) for text in inputs]
        if fault == "raw":
            rows = [row * 3 for row in rows]
        as_base64 = body.get("encoding_format") == "base64" and fault != "floats"
        spoilt = _spoilt([(i, row.tolist()) for i, row in enumerate(rows)], fault, path, body)
        items = [(index, _encoded(value, fault) if as_base64 else value) for index, value in spoilt]
        if path == "/embed":
            return [value for _, value in items]
        if path == "/api/embed":
            return {"model": body["model"], "embeddings": [value for _, value in items]}
        data = [{"object": "embedding", "index": index, "embedding": value} for index, value in items]
        return {"object": "list", "data": data, "model": body["model"]}

    def _vector(self, text: str | list[int]) -> np.ndarray:
        assert self.embedder is not None
        if isinstance(text, list) and self.ids == "exact":
            return model_answers.vector(self.embedder, tuple(text))
        if isinstance(text, list):
            text = model_answers.tokenizer_of(self.embedder).decode(text, skip_special_tokens=False)
            text = text.removesuffix("<|endoftext|>")
        ids = model_answers.text_ids(self.embedder, text)
        return model_answers.vector(self.embedder, ids if self.appends_end else ids[:-1])


def _spoilt(items: list[tuple[int, Any]], fault: str, path: str, body: dict[str, Any]) -> list[tuple[int, Any]]:
    if path in WITHOUT_INDEX:
        items = sorted(items, key=lambda item: item[0])
    elif fault == "shuffled":
        items = [*items[1::2][::-1], *items[::2]]
    if fault == "too few":
        return items[:-1]
    if fault == "too many":
        return [*items, items[0]]
    if fault == "same index":
        return [(0, value) for _, value in items]
    index, last = items[-1]
    changed = {
        "null": None,
        "a word": "many",
        "nan": [*last[:-1], float("nan")] if isinstance(last, list) else float("nan"),
        "infinity": [*last[:-1], float("inf")] if isinstance(last, list) else float("inf"),
        "null inside": [*last[:-1], None] if isinstance(last, list) else None,
        "one narrow": last[:-1] if isinstance(last, list) else None,
        "zeros": [0.0] * len(last) if isinstance(last, list) else None,
    }
    if fault == "wide":
        return [(index, [*value, 0.5]) for index, value in items]
    return [*items[:-1], (index, changed[fault])] if fault in changed else items


def _encoded(value: Any, fault: str) -> Any:
    if not isinstance(value, list) or None in value:
        return value
    raw = np.array(value, dtype="<f4").tobytes()
    return base64.b64encode(raw[: len(raw) // 4] if fault == "quarter" else raw).decode()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    state: ModelServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a client that did not wait
            super().handle()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.state.seen.append(Seen(self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        with self.state.counted():
            self._respond(body, self.state.fault_now())

    def _respond(self, body: Any, fault: str) -> None:
        if fault == "hangs":
            self.state.hang()
        if fault in ("hangs", "dies"):
            self.close_connection = True
            return
        if fault == "key in an answer":
            padding = "x" * (78 - len('{"error": "'))  # the key lies where a shown answer is cut
            self._send(200, json.dumps({"error": f"{padding}{self.headers.get('authorization')}"}).encode())
        elif fault == "deep":
            self._send(200, b"[" * 200_000)
        elif fault == "nothing":
            self._send(204, b"")
        elif fault in ("{}", "[]", "7", '"text"'):
            self._send(200, fault.encode())
        elif fault == "html":
            self._send(200, b"<html><body>Welcome to nginx!</body></html>", {"Content-Type": "text/html"})
        elif fault in STATUSES:
            said = f"no ({self.headers.get('authorization', 'without a key')})"
            more = {"429": {"Retry-After": "0.1"}, "429 for long": {"Retry-After": "3600"}}.get(fault, {})
            more = {"Location": "http://127.0.0.1:9/elsewhere?secret=1"} if fault == "redirect" else more
            self._send(STATUSES[fault], json.dumps({"error": {"message": said}}).encode(), more)
        elif fault == "refuses base64" and body.get("encoding_format") == "base64":
            self._send(400, b'{"error": "encoding_format base64 is not supported"}')
        elif refused := self.state.refusal(body):
            self._send(refused[0], json.dumps({"error": {"message": refused[1]}}).encode())
        else:
            with self.state.computing:  # transformers loads one model at a time
                answer = self.state.answer(self.path, body, fault)
            self._answer(json.dumps(answer).encode(), fault)

    def _answer(self, raw: bytes, fault: str) -> None:
        if fault == "cut json":
            raw = raw[: len(raw) // 2]
        if fault == "gzip":
            return self._send(200, gzip.compress(raw), {"Content-Encoding": "gzip"})
        if fault == "broken gzip":
            return self._send(200, b"no gzip at all", {"Content-Encoding": "gzip"})
        if fault == "stalls":
            self.close_connection = True
            self._send(200, raw[: len(raw) // 2], {"Content-Length": str(len(raw))})
            self.wfile.flush()
            return self.state.hang()
        if fault == "half a body":
            self.close_connection = True
            return self._send(200, raw[: len(raw) // 2], {"Content-Length": str(len(raw))})
        return self._send(200, raw)

    def _send(self, status: int, raw: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(raw))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""
