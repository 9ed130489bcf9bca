"""TEI's POST /embed and Ollama's POST /api/embed, in front of a server that computes the vectors.

    python examples/benchmarks/protocol_server.py http://127.0.0.1:8000 FOLDER --limit 1024 --port 8080

Neither server has a build for CPUs on the package registry, and their clients can be measured all the same: this one
reads their requests, cuts texts of over `--limit` tokens as both do unless they are told otherwise, and asks the server
at the given address for vectors. FOLDER has the model's tokenizer.
"""

import argparse
import json
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from tokenizers import Tokenizer

TEI_BATCH = 32


class RefusedError(Exception):
    """With the status and the body of the refusal."""


class Protocols:
    def __init__(self, upstream: str, tokenizer: Path, limit: int) -> None:
        self._tokenizer, self._limit = Tokenizer.from_file(str(tokenizer / "tokenizer.json")), limit
        self._http = httpx.Client(base_url=upstream, timeout=600, trust_env=False)

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        """Raises RefusedError for what the real server refuses."""
        if path == "/embed":
            texts = _texts(body["inputs"])
            if len(texts) > TEI_BATCH:
                said = f"batch size {len(texts)} > maximum allowed batch size {TEI_BATCH}"
                raise RefusedError(422, {"error": said, "error_type": "Validation"})
            return self._vectors(self._fitting(texts, body.get("truncate", True)))[0]
        if path == "/api/embed":
            vectors, counted = self._vectors(self._fitting(_texts(body["input"]), body.get("truncate", True)))
            return {"model": body["model"], "embeddings": vectors, "prompt_eval_count": counted}
        raise RefusedError(404, {"error": "not found"})

    def _fitting(self, texts: Sequence[str], cut: bool) -> list[str]:
        room = self._limit - 1  # the end token's place
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        longest = max((len(one.ids) for one in encoded), default=0)
        if longest > room and not cut:
            raise RefusedError(422, {"error": f"inputs must have less than {self._limit} tokens. Given: {longest}"})
        return [
            text if len(one.ids) <= room else self._tokenizer.decode(one.ids[:room], skip_special_tokens=False)
            for text, one in zip(texts, encoded, strict=True)
        ]

    def _vectors(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        answer = self._http.post("/v1/embeddings", json={"model": "model", "input": list(texts)}).raise_for_status()
        found = answer.json()
        rows = sorted(found["data"], key=lambda row: int(row["index"]))
        return [row["embedding"] for row in rows], int(found["usage"]["prompt_tokens"])


def _texts(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class Handler(BaseHTTPRequestHandler):
    protocols: Protocols
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._send(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self._send(200, self.protocols.answer(self.path, body))
        except RefusedError as refused:
            self._send(*refused.args)

    def log_message(self, *_: object) -> None:
        """Nothing: a line for each request says nothing here."""

    def _send(self, status: int, content: Any) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--limit", type=int, default=1024, help="tokens of a text (%(default)s)")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    Handler.protocols = Protocols(options.upstream, options.tokenizer, options.limit)
    Server(("127.0.0.1", options.port), Handler).serve_forever()
