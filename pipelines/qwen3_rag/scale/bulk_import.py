"""Milvus' bulk import over HTTP: one Parquet file a call, and each file once, however often a call is repeated.

An import never looks whether a row is there already. So a file holds only rows that the collection lacks, and a job is
never made twice for one file: the key of a call is made from the run and the file, a server that knows such keys gives
the first job back, and before a call is repeated the jobs of the collection are searched for the file, for servers that
do not. What may have been asked for is noted before it is.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import httpx
import pyarrow as pa
from pymilvus.exceptions import MilvusException

from qwen3_rag.addresses import is_loopback, without_password
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.batches import Batch, batch_rows
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.manifest import Manifest
from qwen3_rag.scale.plan import Plan
from qwen3_rag.store.bm25 import FIELD, search_text
from qwen3_rag.store.vector_store import RagVectorStore

CALLS = 6
"""Of one request, over about a minute."""
_PAGE = 100
_FIRST_WAIT, _LAST_WAIT = 0.5, 15.0
"""Seconds between two looks at a job."""
_GROUP = 1_000
_REFRESH = 120.0
"""Seconds in which a server loads imported rows."""
_FAILED, _DONE = "Failed", "Completed"


class _LostError(Exception):
    """No answer, or one that says nothing of what was done."""


class BulkImport:
    """Imports for one collection."""

    def __init__(self, plan: Plan, store: RagVectorStore, work: Folder) -> None:
        assert plan.importing is not None  # noqa: S101
        self._store, self._work, self._run = store, work, plan.run
        self._folder = Folder(plan.importing.folder)
        self._collection = plan.config.collection
        url = plan.importing.url or plan.config.uri
        if not url.lower().startswith(("http://", "https://")):
            raise ConfigError(
                f"bulk import goes over HTTP, and {without_password(url)} is no such address; give --import-url"
            )
        token = plan.config.token.get_secret_value() if plan.config.token else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=30.0, trust_env=not is_loopback(url)
        )

    def settle(self, manifest: Manifest) -> Manifest:
        """Wait for what may have been asked for, so that a comparison sees what is there and nothing is still to come.

        Returns:
            the shard as "embedded", to be compared again.
        """
        job = manifest.import_job or self._job_of(manifest.import_file)
        is_there = False
        if job:
            table = self._work.read_table(f"shards/{manifest.shard}.parquet")
            ids = table.filter(table["missing"])["id"].to_pylist()
            is_there = self._end(job) == _DONE and self._visible(ids) == len(ids)
        attempt = manifest.attempt + (bool(job) and not is_there)  # a key that has a job gives that one for ever
        return manifest.moved_to(self._work, "embedded", attempt=attempt)

    def adding(self, manifest: Manifest) -> Callable[[Batch], int]:
        """What writes the missing passages of a shard."""

        def add(batch: Batch) -> int:
            name = self._file(manifest, batch)
            if not self._folder.has(name):
                self._folder.write_table(name, self._table(batch))
            noted = manifest.moved_to(self._work, "importing", import_file=name, import_job="")
            job = self._submit(name)
            noted.moved_to(self._work, "importing", import_job=job)
            if (state := self._end(job)) != _DONE:
                reason = self._describe(job).get("reason") if state else "the server no longer knows it"
                raise UnavailableError(f"Milvus' import job {job} failed: {reason}; the same command again tries anew")
            self._check(batch["id"])
            self._folder.remove(name)
            return len(batch["id"])

        return add

    def _file(self, manifest: Manifest, batch: Batch) -> str:
        """The name of the file of these passages in this attempt of this run: later ones may need them once more."""
        content = json.dumps([self._run, manifest.shard, manifest.vectors, manifest.attempt, batch["id"]])
        return f"{hashlib.sha256(content.encode()).hexdigest()[:40]}.parquet"

    def _table(self, batch: Batch) -> pa.Table:
        """Rows in the layout of an import: fields of the schema as columns, all others in `$meta`."""
        rows = []
        for row in batch_rows(batch):
            fixed = {name: row.pop(name) for name in ("id", "doc_id", "text", "embedding")}
            words = {FIELD: search_text(fixed["text"])} if self._store.enable_sparse else {}
            rows.append({**fixed, **words, "$meta": json.dumps(row, ensure_ascii=False)})
        texts = ["id", "doc_id", "text", *([FIELD] if self._store.enable_sparse else []), "$meta"]
        schema = pa.schema([*((name, pa.string()) for name in texts), ("embedding", pa.list_(pa.float32()))])
        return pa.Table.from_pylist(rows, schema=schema)

    def _submit(self, name: str) -> str:
        """Make a job of the file; one that a lost answer has made is found instead."""
        body = {"collectionName": self._collection, "files": [[self._path(name)]]}
        key = {"Idempotency-Key": name.removesuffix(".parquet")}
        for wait in _waits():
            try:
                return str(self._post("create", body, key)["jobId"])
            except _LostError as error:
                lost = error
            time.sleep(wait)
            if job := self._job_of(name):
                return job
        raise UnavailableError(f"bulk import of {name} got no answer: {lost}; the same command again goes on from here")

    def _end(self, job: str) -> str | None:
        """The state in which a job has ended; None where the server no longer knows it."""
        wait = _FIRST_WAIT
        while (state := self._describe(job).get("state")) not in (_DONE, _FAILED, None):
            time.sleep(wait)
            wait = min(wait * 1.5, _LAST_WAIT)
        return state

    def _check(self, ids: Sequence[str]) -> None:
        if (there := self._visible(ids)) != len(ids):
            raise UnavailableError(
                f"Milvus says that an import is complete, and {there:,} of its {len(ids):,} rows are there; the same "
                "command again writes the others"
            )

    def _visible(self, ids: Sequence[str]) -> int:
        """How many of the rows can be read: a loaded collection may have to be told of imported ones."""
        there = self._count(ids)
        if there < len(ids):
            with suppress(MilvusException):
                self._store.client.refresh_load(self._collection, timeout=_REFRESH)
            there = self._count(ids)
        return there

    def _count(self, ids: Sequence[str]) -> int:
        groups = [list(ids[start : start + _GROUP]) for start in range(0, len(ids), _GROUP)]
        get = partial(self._store.client.get, output_fields=["id"], consistency_level="Strong")
        return sum(len(get(self._collection, some)) for some in groups)

    def _job_of(self, name: str) -> str:
        """The job that has been made of a file, or ""."""
        return next((job for job in self._jobs() if any(one.endswith(name) for one in self._files(job))), "")

    def _jobs(self) -> Iterator[str]:
        page, known = 1, set[str]()
        while True:
            body = {"collectionName": self._collection, "pageSize": _PAGE, "currentPage": page}
            records = self._repeated("list", body).get("records") or []
            fresh = [str(one["jobId"]) for one in records if str(one["jobId"]) not in known]
            yield from fresh
            known.update(fresh)
            if not fresh or len(records) < _PAGE:  # older servers give all at once, whatever the page
                return
            page += 1

    def _files(self, job: str) -> list[str]:
        """As the server shows them: with more in front of the name, in brackets in some versions."""
        return [str(one.get("fileName", "")).rstrip("]") for one in self._describe(job).get("details") or []]

    def _describe(self, job: str) -> dict[str, Any]:
        """Nothing for a job that the server no longer knows."""
        return self._repeated("describe", {"jobId": job})

    def _repeated(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """A question, asked until it is answered."""
        for wait in _waits():
            try:
                return self._post(what, body)
            except _LostError as error:
                lost = error
            time.sleep(wait)
        raise UnavailableError(
            f"Milvus' import service does not answer: {lost}; the same command again goes on from here"
        )

    def _post(self, what: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = self._http.post(f"/v2/vectordb/jobs/import/{what}", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise _LostError(str(error) or type(error).__name__) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ConfigError(
                f"{without_password(str(self._http.base_url))} has no bulk import over HTTP (Milvus has it from 2.4 "
                "on); leave --import-to out, or give --import-url"
            )
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code == 429:
            raise _LostError(f"HTTP {answer.status_code}")
        try:
            found = answer.json()
            code, data, message = found["code"], found.get("data") or {}, str(found.get("message") or "")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UnavailableError(f"Milvus' import service answered {answer.text[:200]!r}") from None
        if what == "describe" and "not exist" in message:
            return {}
        if code not in (0, 200):
            raise UnavailableError(f"Milvus' import service refused: {message or answer.text[:200]}")
        return dict(data)

    def _path(self, name: str) -> str:
        """The file as Milvus names it: in its bucket, or on its disk."""
        path = f"{self._folder.path}/{name}"
        return path.partition("/")[2] if self._folder.is_bucket else path


def _waits() -> Iterator[float]:
    return (min(_FIRST_WAIT * 2**call, _LAST_WAIT) for call in range(CALLS))
