"""A session whose models and database are a service's: the same methods, for the command line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.report import IngestReport, Progress
from qwen3_rag.query.rows import AnswerResult, DocumentPassages, SearchResult, SourceList
from qwen3_rag.serve.agreement import FOR_ANSWERS, FOR_INGESTS, SENT, check_agreement
from qwen3_rag.serve.client import ServiceClient, as_error

if TYPE_CHECKING:
    from qwen3_rag.ingestion.pipeline import IngestOptions
    from qwen3_rag.query.stages import Wishes

_LOADING_SECONDS = 300.0
_NOT_SENT = ("follow_links", "on_progress", "seen")
_CANNOT = "the service at {} cannot do it; stop the service, or leave it out"


class RemoteSession:
    """As `Session`, over HTTP.

    Args:
        config: settings that the caller gave (`model_fields_set`) go with each question, or must be the service's.
        client: of the service.
        collection: asked for in each question; None: the service's own.

    Raises:
        ConfigError: a setting that was given is another one than the service's.
        UnavailableError: nobody answers there.
    """

    def __init__(self, config: RagConfig, client: ServiceClient, collection: str | None = None) -> None:
        self._given, self.client, self._collection = config, client, collection
        self.health = _wait_for_health(client)
        check_agreement(config, self.health, client.url)
        rerank = "none" if config.rerank_model == "none" else self.health["rerank_model"] or "none"
        self.config = config.model_copy(
            update={
                "collection": collection or self.health["collection"],
                "embed_model": self.health["embed_model"],
                "rerank_model": rerank,
            }
        )
        """The caller's, with the service's collection and models."""

    def open(self) -> RemoteSession:
        return self

    def search(self, question: str, **wishes: Unpack[Wishes]) -> SearchResult:
        return SearchResult(**self.client.post("/search", self._body(question, wishes)))

    def ask(
        self, question: str, *, on_token: Callable[[str], object] | None = None, **wishes: Unpack[Wishes]
    ) -> AnswerResult:
        check_agreement(self._given, self.health, self.client.url, FOR_ANSWERS)
        body = self._body(question, wishes)
        if on_token is None:
            return AnswerResult(**self.client.post("/ask", body))
        for name, data in self.client.events("/ask", {**body, "stream": True}):
            if name == "token":
                on_token(data["text"])
            elif name == "error":
                raise as_error(self.client.url, 502, data)
            elif name == "done":
                return AnswerResult(**data)
        raise UnavailableError(f"the service at {self.client.url} ended before its answer did; ask again")

    def list_sources(self, prefix: str = "", limit: int = 1_000) -> SourceList:
        found = self.client.get("/sources", prefix=prefix or None, limit=limit, collection=self._collection)
        return SourceList(**found)

    def show(self, source: str, start: int = 0, count: int | None = None) -> DocumentPassages:
        parameters = {"source": source, "from": start, "count": count, "collection": self._collection}
        return DocumentPassages(**self.client.get("/passages", **parameters))

    def ingest(
        self,
        paths: Sequence[str | Path],
        *,
        overwrite: bool = False,
        adopt: bool = False,
        **options: Unpack[IngestOptions],
    ) -> IngestReport:
        """Has the service ingest, and waits for it."""
        check_agreement(self._given, self.health, self.client.url, FOR_INGESTS)
        cannot = {"--overwrite": overwrite, "--adopt": adopt, "--follow-links": options.get("follow_links")}
        for name, given in cannot.items():
            if given:
                raise ConfigError(f"{name}: {_CANNOT.format(self.client.url)}")
        body = {name: value for name, value in options.items() if name not in _NOT_SENT and value is not None}
        whole = [os.path.abspath(os.path.expanduser(path)) for path in paths]
        collection = {"collection": self._collection} if self._collection else {}
        job = self.client.post("/ingest", {"paths": whole, **body, **collection})["job"]
        on_progress, seconds = options.get("on_progress"), 0.05
        while True:
            found = self.client.get(f"/jobs/{job}")
            if on_progress is not None and found["progress"]:
                on_progress(Progress(**found["progress"]))
            if found["status"] not in ("waiting", "running"):
                break
            time.sleep(seconds)
            seconds = min(1.0, seconds * 1.5)
        if found["report"] is None:
            kind = ConfigError if found["exit_code"] == ConfigError.exit_code else UnavailableError
            raise kind(f"the service at {self.client.url}: {found['error']}")
        return IngestReport.from_json(found["report"])

    def close(self) -> None:
        self.client.close()

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _body(self, question: str, wishes: Wishes) -> dict[str, Any]:
        """The question with what was wished for it, else what was configured here, else nothing: the service's own."""
        names = (self._given.model_fields_set & SENT) - {"collection", "server"}
        configured = {name: getattr(self._given, name) for name in names}
        given = {name: value for name, value in wishes.items() if value is not None and value != []}
        body: dict[str, Any] = {"query": question, **configured, **given}
        if self._given.rerank_model == "none":
            body["rerank"] = False
        if self._collection is not None:
            body["collection"] = self._collection
        return body


def _wait_for_health(client: ServiceClient) -> dict[str, Any]:
    """What `/health` says, once the service has loaded."""
    deadline = time.monotonic() + _LOADING_SECONDS
    while True:
        try:
            found: dict[str, Any] = client.get("/health")
            return found
        except UnavailableError as error:
            if "loading" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
