"""Files and folders to Milvus over many machines: `ingest`, with its steps on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from qwen3_rag.config import RagConfig
from qwen3_rag.documents.sources import SourceFile, Tally
from qwen3_rag.documents.walk import find_files
from qwen3_rag.ingestion.pipeline import IngestOptions, check_options
from qwen3_rag.ingestion.pruning import Pruning
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.ingestion.requests import record_requests
from qwen3_rag.ingestion.roots import names_of
from qwen3_rag.scale.cutting import CutFiles
from qwen3_rag.scale.job import Job, in_groups
from qwen3_rag.scale.plan import Engine, Stage
from qwen3_rag.scale.settings import Settings

_TOGETHER = 4 << 20
"""Bytes of files that are cut by one call: a shard of 1,024 passages has about 2 MiB of text."""


def ingest_files(
    paths: Sequence[str | Path],
    config: RagConfig,
    engine: Engine,
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    adopt: bool = False,
    **options: Unpack[IngestOptions],
) -> IngestReport:
    """Bring a collection in line with files and folders; see `qwen3_rag.ingest` for the options and what they mean.

    The files are read on this machine, in processes of the engine; the work folder is what other machines have to see.

    Raises:
        ConfigError: what `ingest` refuses; a Milvus Lite file, which only one process can open.

    >>> ingest_files(["docs/"], config, in_process).written
    72
    """
    selection, given = check_options(paths, options)
    with Job(
        config,
        engine,
        settings or Settings(),
        metadata=given,
        overwrite=overwrite,
        adopt=adopt,
        on_progress=options.get("on_progress"),
    ) as job:
        names = names_of(paths, job.catalog, options.get("name"))
        record_requests(job.catalog, paths, {**options, "metadata": given})
        pruning, tally = Pruning(names, selection), Tally()

        def skip(source: str, reason: str) -> None:
            job.report.skipped.append((source, reason))

        found = find_files(
            paths,
            skip,
            name=names.source,
            follow_links=options.get("follow_links", False),
            selection=selection,
            tally=tally,
        )
        files: dict[str, SourceFile] = {file.source: file for file in found}  # a file given twice is one
        tasks = [(file, names.root(file.path)) for file in files.values()]
        groups = [[tasks[at] for at in group] for group in in_groups([file.size for file, _ in tasks], _TOGETHER)]
        if groups:
            job.cut(engine(groups, [Stage("cut", partial(CutFiles, job.plan))]), sum(file.size for file, _ in tasks))
        job.load()
        if options.get("prune"):
            pruning.kept.update(source for source, _ in job.report.skipped)
            job.prune(pruning.scopes(paths))
        job.report.passed_over, job.report.left_out = dict(sorted(tally.passed_over.items())), tally.left_out
        return job.end()
