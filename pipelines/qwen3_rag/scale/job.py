"""A run from beginning to end: cut, embed and load on an engine, then prune. Killed and begun again it goes on."""

from __future__ import annotations

import dataclasses
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Any

import numpy as np

from qwen3_rag.addresses import without_password
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.batches import EmbedBatch
from qwen3_rag.ingestion.report import IngestReport, OnProgress, Progress
from qwen3_rag.ingestion.writer import Writer
from qwen3_rag.scale.bulk_import import BulkImport
from qwen3_rag.scale.cutting import Cut, mark_of
from qwen3_rag.scale.embedding import EmbedShard
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.loading import LoadShard
from qwen3_rag.scale.manifest import Manifest, begin_run, end_run, load_manifest
from qwen3_rag.scale.plan import Engine, Plan, Stage, check_server
from qwen3_rag.scale.settings import Settings
from qwen3_rag.scale.shards import documents_of
from qwen3_rag.store.catalog import Root
from qwen3_rag.store.opening import open_store

Gone = Callable[[str], bool]


class Job:
    """A run. Opening it makes the collection where it is missing, and waits for imports that an earlier run left.

    >>> with Job(config, in_process, Settings()) as job:
    ...     job.cut(in_process(groups, [Stage("cut", partial(CutFiles, job.plan))]))
    ...     job.load()
    ...     job.end()
    """

    def __init__(
        self,
        config: RagConfig,
        engine: Engine,
        settings: Settings,
        *,
        metadata: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        adopt: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        check_server(config)
        self._started, self._engine, self._settings = time.monotonic(), engine, settings
        self._tell = on_progress or (lambda _: None)
        embedder = settings.embedder_for(config)
        self.store = open_store(config, embedder.identity, create=True, overwrite=overwrite, adopt=adopt)
        self.catalog = self.store.open_catalog()  # made here: the other processes find it
        work = settings.work_for(config)
        self._work = Folder(work)
        target = {
            "uri": without_password(config.uri),
            "collection": config.collection,
            "uid": self.store.uid,
        }
        self.plan = Plan(
            config=config,
            identity=dataclasses.replace(embedder.identity, embed=None),  # it is sent to other machines
            work=self._work.url,
            run=begin_run(self._work, target),
            uid=self.store.uid,
            embedder=embedder.make,
            shard_size=settings.shard_size,
            metadata=metadata or {},
            importing=settings.importing,
        )
        self._settle()
        self.report = IngestReport()
        self._shards: list[Manifest] = []
        self._marks = np.empty(0, np.uint64)

    def __enter__(self) -> Job:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.store.client.close()

    def cut(self, cuts: Iterable[Cut], size: int = 0) -> None:
        """Take in what the first step made of the documents. `size` is that of all of them in bytes.

        Raises:
            ConfigError: two documents have one name. Nothing has been embedded or written then.
        """
        marks = array("Q")
        done = passages = 0
        for one in cuts:
            self._shards += one.shards
            passages += sum(shard.passages for shard in one.shards)
            self.report.skipped += one.report.skipped
            self.report.cleaned += one.report.cleaned
            self.report.cut += one.report.cut
            marks += one.marks
            done += one.size
            self._tell(Progress(done, max(size, done), passages, "cutting"))
        self._marks, count = np.unique(np.frombuffer(marks, np.uint64), return_counts=True)
        if (count > 1).any():
            example = self._name_of({int(mark) for mark in self._marks[count > 1]})
            raise ConfigError(
                f"{int((count > 1).sum()):,} names stand for several documents{example}; nothing was written; "
                "a document's name is made from its id: make the ids unique"
            )

    def load(self) -> None:
        """Embed and write what is missing."""
        waiting = [shard for shard in self._shards if shard.state != "done"]
        for shard in self._shards:
            if shard.state == "done":
                self._add(shard)
        plan = self.plan
        if plan.importing is not None and sum(shard.missing for shard in waiting) < plan.importing.above:
            plan = dataclasses.replace(plan, importing=None)
        stages = [Stage("embed", partial(EmbedShard, plan)), Stage("load", partial(LoadShard, plan))]
        total, done = sum(shard.characters for shard in waiting), 0
        for loaded in self._engine([shard.shard for shard in waiting], stages) if waiting else ():
            self._add(loaded)
            done += loaded.characters
            self._tell(Progress(done, total, self.report.written, f"shard {loaded.shard[:8]}"))

    def prune(self, scopes: Iterable[tuple[Root, Gone]]) -> None:
        """Delete the documents of roots that were not cut, and of which the judgement says that they are gone."""
        with Writer(self.store, EmbedBatch(self.plan.embedder), 1) as writer:
            for root, is_gone in scopes:
                writer.prune(root.path, lambda source, is_gone=is_gone: is_gone(source) and not self.has(source))  # type: ignore[misc]
        self.report.pruned += writer.report.pruned
        self.report.deleted += writer.report.deleted

    def has(self, source: str) -> bool:
        """Whether a document was cut."""
        mark = np.uint64(mark_of(source))
        at = int(np.searchsorted(self._marks, mark))
        return at < len(self._marks) and bool(self._marks[at] == mark)

    def end(self) -> IngestReport:
        """The run is complete."""
        end_run(self._work, self._settings.keep)
        self.report.seconds = time.monotonic() - self._started
        return self.report

    def _settle(self) -> None:
        """Wait for imports under way: what they bring must be there before anything is compared."""
        for name in self._work.names("manifests"):
            manifest = load_manifest(self._work, name.removesuffix(".json"))
            if manifest is None or manifest.state != "importing" or manifest.run != self.plan.run:
                continue
            if self.plan.importing is None:
                raise ConfigError(
                    f"Milvus may still be importing shard {manifest.shard} of an earlier run; give the same "
                    "--import-to once more, so that it is waited for"
                )
            BulkImport(self.plan, self.store, self._work).settle(manifest)

    def _add(self, shard: Manifest) -> None:
        for name, value in shard.report.items():
            setattr(self.report, name, getattr(self.report, name) + int(value))

    def _name_of(self, marks: set[int]) -> str:
        """An example of a name with one of the marks: of a shard, or of the collection, if it has the shard already."""
        files = (f"shards/{shard.shard}.parquet" for shard in self._shards)
        tables = (self._work.read_table(file) for file in files if self._work.has(file))
        names = chain((one.source for table in tables for one in documents_of(table)), dict(self.catalog.counts()))
        return next((f", {name!r} for one" for name in names if mark_of(name) in marks), "")


def in_groups(sizes: Sequence[int], limit: int) -> list[range]:
    """Neighbours together, up to a size each.

    >>> in_groups([3, 3, 9, 1], 6)
    [range(0, 2), range(2, 3), range(3, 4)]
    """
    groups: list[range] = []
    start = size = 0
    for at, one in enumerate(sizes):
        if at > start and size + one > limit:
            groups.append(range(start, at))
            start, size = at, 0
        size += one
    return [*groups, range(start, len(sizes))] if sizes else []
