"""A corpus, each row a document, to Milvus: any `ray.data.Dataset`, and Parquet or JSON Lines by their addresses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pyarrow import fs

from qwen3_rag.addresses import without_password
from qwen3_rag.config import RagConfig
from qwen3_rag.documents.metadata import check_given
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.report import IngestReport, OnProgress
from qwen3_rag.ingestion.roots import corpus_root
from qwen3_rag.scale.cutting import Columns, CutRows
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.job import Job
from qwen3_rag.scale.ray_engine import RayEngine
from qwen3_rag.scale.settings import Settings

SUFFIXES = (".parquet", ".jsonl")


def ingest_dataset(
    dataset: Any,
    config: RagConfig,
    engine: RayEngine,
    settings: Settings | None = None,
    *,
    name: str,
    place: str | None = None,
    prefix: str | None = None,
    columns: Columns | None = None,
    metadata: Mapping[str, Any] | None = None,
    prune: bool = False,
    overwrite: bool = False,
    adopt: bool = False,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Bring a collection in line with the rows of a dataset: what is new or changed is embedded and written.

    Args:
        dataset: a `ray.data.Dataset` with a row a document.
        name: what the corpus is called; its documents are `name#id`.
        place: where it is from, which tells it from another of that name; None: the name alone.
        prefix: begins the documents' names instead of `name`.
        columns: where a row has its document's id, text, title and metadata.
        prune: delete the documents of this corpus that are no longer in it.

    Raises:
        ConfigError: ids that are not unique, a column that is not there.

    >>> ingest_dataset(ray.data.read_parquet("s3://bucket/wiki/"), config, RayEngine(), name="wiki").written
    """
    columns, settings = columns or Columns(), settings or Settings()
    engine.connect()
    there = dataset.schema().names
    if missing := [one for one in (columns.id, columns.text, *columns.metadata) if one not in there]:
        raise ConfigError(f"the corpus has the columns {', '.join(there)}, and not {missing[0]!r}; name its own")
    given = check_given(metadata or {})
    with Job(
        config, engine, settings, metadata=given, overwrite=overwrite, adopt=adopt, on_progress=on_progress
    ) as job:
        root = corpus_root(place or f"corpus:{name}", name, job.catalog)
        step = partial(CutRows, job.plan, root, prefix or name, columns)
        job.cut(engine.cut_rows(dataset, step, settings.shard_size))
        job.load()
        if prune:
            skipped = {source for source, _ in job.report.skipped}
            job.prune([(root, lambda source: source not in skipped)])
        return job.end()


def ingest_corpus(
    url: str,
    config: RagConfig,
    engine: RayEngine,
    settings: Settings | None = None,
    *,
    name: str | None = None,
    **rest: Any,
) -> IngestReport:
    """The same for Parquet or JSON Lines at a path or URL: one file, or a folder of them.

    The documents of one file are NAME/file#id, as `ingest` calls those of a `corpus.jsonl`, where NAME is that of its
    folder; those of a folder of parts are NAME#id, whichever part they lie in.
    """
    folder = Folder(url)
    files = _files(folder)
    is_one = files == [folder.path]
    place = url.rstrip("/").rpartition("/")[0] if is_one else url.rstrip("/")
    chosen = name or os.path.basename(urlsplit(place).path.rstrip("/")) or urlsplit(place).netloc
    engine.connect()
    import ray.data

    read = ray.data.read_parquet if files[0].endswith(".parquet") else ray.data.read_json
    dataset = read(files, filesystem=folder.files)
    return ingest_dataset(
        dataset,
        config,
        engine,
        settings,
        name=chosen,
        place=without_password(place),
        prefix=f"{chosen}/{os.path.basename(folder.path)}" if is_one else chosen,
        **rest,
    )


def _files(folder: Folder) -> Sequence[str]:
    """The file at an address, or the files of one kind in the folder there."""
    found = folder.files.get_file_info(folder.path)
    if found.type == fs.FileType.File:
        names = [folder.path]
    else:
        listed = folder.files.get_file_info(fs.FileSelector(folder.path, recursive=True, allow_not_found=True))
        names = sorted(one.path for one in listed if one.type == fs.FileType.File and one.path.endswith(SUFFIXES))
    kinds = {os.path.splitext(one)[1] for one in names}
    if len(kinds) != 1 or not kinds <= set(SUFFIXES):
        shown = without_password(folder.url)
        has = f"files of the kinds {', '.join(sorted(kinds))}" if kinds else "no files"
        raise ConfigError(f"{shown} has {has}; a corpus is .parquet or .jsonl, of one kind")
    return names
