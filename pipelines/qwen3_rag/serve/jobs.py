"""Ingests that run in the background, one after another, and can be looked at."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from qwen3_rag.errors import NotThereError
from qwen3_rag.explain import explain
from qwen3_rag.ingestion.report import IngestReport, OnProgress, Progress
from qwen3_rag.serve.failures import unavailable

logger = logging.getLogger(__name__)

KEPT = 100
"""Jobs that can be asked for; older ones are forgotten when they have ended."""
MAX_WAITING = 16

Work = Callable[[OnProgress], IngestReport]


class StoppedError(Exception):
    """The service is being stopped: an ingest ends after its batch, and the next one goes on from there."""


@dataclass
class Job:
    """An ingest. `error` is set when it has failed, `report` when it has ended."""

    work: Work = field(repr=False)
    job: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: Literal["waiting", "running", "done", "failed", "stopped"] = "waiting"
    progress: Progress | None = None
    report: IngestReport | None = None
    error: str | None = None
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """As `/jobs/ID` shows it."""
        return {
            "job": self.job,
            "status": self.status,
            "progress": dataclasses.asdict(self.progress) if self.progress else None,
            "report": self.report.to_json() if self.report else None,
            "error": self.error,
            "exit_code": self.exit_code,
        }


class Jobs:
    """One at a time. Its thread starts with the first job and does not keep the process from ending."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: queue.Queue[Job] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    def add(self, work: Work) -> Job:
        """Have `work(on_progress)` done.

        Raises:
            HttpError: 503 where too many wait already.
        """
        job = Job(work)
        with self._lock:
            try:
                self._waiting.put_nowait(job)
            except queue.Full:
                raise unavailable(f"{MAX_WAITING} ingests wait already, and no more may; try again", 30) from None
            self._jobs[job.job] = job
            ended = [name for name, one in self._jobs.items() if one.status not in ("waiting", "running")]
            for name in ended[: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[name]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="qwen3-rag-jobs", daemon=True)
                self._thread.start()
        return job

    def get(self, name: str) -> Job:
        with self._lock:
            if name not in self._jobs:
                raise NotThereError(f"no job {name[:80]!r}; the last {KEPT} are known")
            return self._jobs[name]

    def now(self, work: Work) -> IngestReport:
        """Have `work` done in this thread, when no other ingest runs."""
        with self._writing:
            return work(self._go_on)

    def stop(self, seconds: float) -> bool:
        """Let the running ingest end after its batch; whether it did so within the time."""
        self.stopping.set()
        done = self._writing.acquire(timeout=seconds)
        if done:
            self._writing.release()
        return done

    def _work(self) -> None:
        while not self.stopping.is_set():
            try:
                job = self._waiting.get(timeout=1)
            except queue.Empty:
                continue
            with self._writing:
                self._run(job)

    def _run(self, job: Job) -> None:
        def note(progress: Progress) -> None:
            job.progress = progress
            self._go_on(progress)

        job.status = "running"
        try:
            job.report = job.work(note)
            job.exit_code = 0 if job.report.complete else 3
            job.status = "done"
        except StoppedError:
            job.error, job.status, job.exit_code = "the service was stopped; ingest again to go on", "stopped", 4
        except Exception as error:
            known = explain(error)
            if known is None:
                logger.error("ingest %s failed", job.job, exc_info=error)
            job.error = str(known) if known else f"internal error ({type(error).__name__}); it is in the service's log"
            job.exit_code = known.exit_code if known else 1
            job.status = "failed"

    def _go_on(self, progress: Progress) -> None:
        if self.stopping.is_set():
            raise StoppedError
