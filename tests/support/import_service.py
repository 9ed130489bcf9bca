"""Milvus' bulk import over HTTP, as the server speaks it, with faults: `jobs/import/create`, `describe` and `list`.

What a job imports is really inserted, into the Milvus server beside it, which has no import of its own.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

import pyarrow.parquet as pq
from pymilvus import MilvusClient

Fault = Literal["lost", "refused", "failed", "garbled"]
"""Of one call of `create`: the job is made and the answer lost; nothing is done and 503 answered; the job fails; the
answer is no JSON."""


@dataclass
class Job:
    number: int
    collection: str
    file: str
    key: str
    state: str = "Pending"
    looks: int = 0
    reason: str = ""


@dataclass
class ImportService:
    """`with ImportService(uri) as service: service.url`.

    Args:
        uri: of the Milvus server that rows go to.
        knows_keys: a server from 2.6.24 on: the same key gives the first job back. Older ones ignore it.
        faults: of the first calls of `create`, one each.
        looks: how often a job is described before it ends.
    """

    uri: str
    knows_keys: bool = True
    faults: list[Fault] = field(default_factory=list)
    looks: int = 1
    token: str = ""
    jobs: list[Job] = field(default_factory=list)
    imported: Counter[str] = field(default_factory=Counter)
    """Rows by id, as often as a job brought them."""
    calls: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> ImportService:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service._answer(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        self._lock = threading.Lock()
        self._client = MilvusClient(self.uri)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._client.close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        what = handler.path.removeprefix("/v2/vectordb/jobs/import/")
        with self._lock:
            self.calls[what] += 1
            if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
                _send(handler, {"code": 1800, "message": "user hasn't authenticated"})
            elif what == "create":
                self._create(handler, body)
            elif what == "describe":
                _send(handler, self._describe(body["jobId"]))
            elif what == "list":
                found = [_shown(job) for job in self.jobs if job.collection == body["collectionName"]]
                start = (body["currentPage"] - 1) * body["pageSize"]
                _send(handler, {"code": 0, "data": {"records": found[start : start + body["pageSize"]]}})
            else:
                _send(handler, {"code": 404}, 404)

    def _create(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "refused":
            _send(handler, {"message": "busy"}, 503)
            return
        ((file,),) = body["files"]  # one file a call
        key = handler.headers.get("Idempotency-Key") or ""
        job = next((one for one in self.jobs if self.knows_keys and key and one.key == key), None)
        if job is None:
            job = Job(len(self.jobs) + 1, body["collectionName"], file, key)
            self.jobs.append(job)
            if fault == "failed":
                job.reason = "disk full"
        if fault == "lost":
            handler.close_connection = True
            return
        if fault == "garbled":
            _send(handler, "<html>gateway</html>", 502)
            return
        _send(handler, {"code": 0, "data": {"jobId": str(job.number)}})

    def _describe(self, number: str) -> dict[str, Any]:
        job = next((one for one in self.jobs if str(one.number) == number), None)
        if job is None:
            return {"code": 2100, "message": f"import job does not exist, jobID={number}"}
        job.looks += 1
        if job.looks > self.looks and job.state not in ("Completed", "Failed"):
            job.state = "Failed" if job.reason else self._import(job)
        elif job.state == "Pending":
            job.state = "Importing"
        details = [{"fileName": f"[{job.file}]", "state": job.state, "progress": 50}]
        return {"code": 0, "data": {**_shown(job), "reason": job.reason, "details": details}}

    def _import(self, job: Job) -> str:
        """Never looks whether a row is there already, as Milvus does not."""
        rows = [{**json.loads(row.pop("$meta")), **row} for row in pq.read_table(job.file).to_pylist()]
        self._client.insert(job.collection, rows)
        self.imported.update(row["id"] for row in rows)
        return "Completed"

    def finish(self) -> None:
        """Let the jobs under way end, with nobody looking."""
        with self._lock:
            for job in self.jobs:
                if job.state not in ("Completed", "Failed"):
                    job.state = "Failed" if job.reason else self._import(job)


def _shown(job: Job) -> dict[str, Any]:
    return {"jobId": str(job.number), "collectionName": job.collection, "state": job.state, "progress": 50}


def _send(handler: BaseHTTPRequestHandler, value: Any, status: int = 200) -> None:
    content = (value if isinstance(value, str) else json.dumps(value)).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
