"""The tools `sync` and `sync_status`: the collection brought in line with its files, while the agent goes on.

An agent names no path: what is read again is what was ingested before, with the options of then. Documents that tell an
agent to ingest something else get nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import BaseModel, Field

from qwen3_rag.agents.arguments import Arguments
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.agents.wrapping import attribute, shorten
from qwen3_rag.ingestion.report import IngestReport, OnProgress, Progress
from qwen3_rag.session import Session

SYNC = (
    "Bring the collection in line with the files and folders that it was made from: new and changed ones are read, "
    "passages of vanished ones deleted. Runs in the background and returns a job id at once; sync_status says how far "
    "it is. Use it when documents have changed, or when something that should be there is not found."
)
STATUS = "Say how far a job of sync is, or what it did."
_SHOWN = 10


class Job(Protocol):
    """A piece of work in the background."""

    @property
    def job(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def progress(self) -> Progress | None: ...

    @property
    def report(self) -> IngestReport | None: ...

    @property
    def error(self) -> str | None: ...


class Jobs(Protocol):
    """Where work is put."""

    def add(self, work: Callable[[OnProgress], IngestReport]) -> Job: ...

    def get(self, name: str) -> Job: ...


class SyncStatus(BaseModel):
    """The result of both tools. `status` is waiting, running, done, failed or stopped."""

    job: str
    status: str
    done: Annotated[float | None, Field(description="How much is done, from 0 to 1, by the size of the files.")] = None
    documents: int | None = None
    unchanged: int | None = None
    written: Annotated[int | None, Field(description="Passages embedded and written.")] = None
    deleted: Annotated[int | None, Field(description="Passages deleted.")] = None
    skipped: Annotated[list[str], Field(description="What could not be read, and why; the first ones.")] = []
    error: str | None = None

    def __str__(self) -> str:
        names = {"done", "documents", "unchanged", "written", "deleted"}
        counts = ", ".join(
            f"{name} {value}" for name, value in self.model_dump(include=names, exclude_none=True).items()
        )
        lines = [f"job {self.job}: {self.status}{f' ({counts})' if counts else ''}", *self.skipped]
        return "\n".join([*lines, *([f"failed: {self.error}"] if self.error else [])])


class StatusArguments(Arguments):
    """Arguments of `sync_status`, as the model sees them."""

    job: Annotated[str, Field(min_length=1, description="The id that sync has returned.")]


def sync_tool(session: Session, jobs: Jobs) -> AgentTool:
    """`sync` of a session's collection. While one runs, another call gives the same job."""
    latest: list[Job] = []

    def run(_: Arguments) -> SyncStatus:
        if not latest or latest[0].status not in ("waiting", "running"):
            latest[:] = [jobs.add(lambda on_progress: session.sync(on_progress=on_progress))]
        return _status(latest[0])

    async def arun(given: Arguments) -> SyncStatus:
        return await asyncio.to_thread(run, given)

    return AgentTool("sync", SYNC, Arguments, SyncStatus, run, arun, title="Read changed files", writes=True)


def status_tool(_: Session, jobs: Jobs) -> AgentTool:
    """`sync_status` of any job."""

    def run(given: StatusArguments) -> SyncStatus:
        return _status(jobs.get(given.job))

    async def arun(given: StatusArguments) -> SyncStatus:
        return run(given)

    return AgentTool("sync_status", STATUS, StatusArguments, SyncStatus, run, arun, title="State of a sync")


def _status(job: Job) -> SyncStatus:
    found = SyncStatus(job=job.job, status=job.status, error=job.error)
    if (report := job.report) is not None:
        skipped = [shorten(attribute(f"skipped {source}: {reason}"), 200) for source, reason in report.skipped[:_SHOWN]]
        counts = {name: getattr(report, name) for name in ("documents", "unchanged", "written", "deleted")}
        return found.model_copy(update={**counts, "skipped": skipped})
    if job.progress is not None and job.progress.total_bytes:
        found.done = round(job.progress.done_bytes / job.progress.total_bytes, 3)
    return found
