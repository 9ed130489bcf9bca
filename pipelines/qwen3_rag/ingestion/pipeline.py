"""Files or documents to passages in Milvus: streamed, incremental, and safe to kill at any moment (see `writer`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypedDict, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import Document

from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.metadata import check_given
from qwen3_rag.documents.selection import Selection
from qwen3_rag.documents.sources import Skip, SourceFile, Tally
from qwen3_rag.documents.walk import check_paths, find_files
from qwen3_rag.ingestion.batches import EmbedBatch
from qwen3_rag.ingestion.pruning import Pruning, Seen
from qwen3_rag.ingestion.reading import NO_TEXT, SECOND, cleaned, names_of_old, read_file
from qwen3_rag.ingestion.report import IngestReport, OnProgress, Progress
from qwen3_rag.ingestion.requests import record_requests
from qwen3_rag.ingestion.roots import names_of
from qwen3_rag.ingestion.writer import Writer
from qwen3_rag.store.vector_store import RagVectorStore


class IngestOptions(TypedDict, total=False):
    """What an ingest of files may be told; see `ingest`."""

    prune: bool
    name: str | None
    include: Sequence[str]
    exclude: Sequence[str]
    gitignore: bool
    metadata: Mapping[str, Any] | None
    follow_links: bool
    on_progress: OnProgress | None
    seen: Seen | None


def ingest(
    paths: Sequence[str | Path],
    *,
    store: RagVectorStore,
    embed_model: BaseEmbedding,
    parser: NodeParser | None = None,
    batch_size: int = 64,
    **options: Unpack[IngestOptions],
) -> IngestReport:
    """Bring the collection in line with files and folders, of any format in `documents.formats`.

    Args:
        batch_size: passages embedded and written together.
        prune: delete the passages of files below `paths` that are no longer there. Files that could not be read, and
            those that `include` and `exclude` keep out of this run, keep their passages, and so do documents that no
            file ingest wrote.
        name: what the folder is called in the names of its documents, instead of its own name; the name of a folder
            that has moved.
        include, exclude: patterns as in `.gitignore`, relative to each of `paths`; see `Selection`.
        gitignore: obey `.gitignore` files (the default).
        metadata: values for every passage, beside those of its document. A later run without them takes them off.
        follow_links: also read what links below a folder reach outside it; else they are skipped.
        seen: files that need not be read again, brought up to date; for a process that ingests a folder repeatedly.

    Raises:
        ConfigError: a path does not exist, two folders have the same name, or an option is wrong; nothing has been
            written then.

    >>> report = ingest(["docs/"], store=store, embed_model=models.embed, prune=True)
    >>> report.written, report.kept, report.skipped
    (72, 0, [])
    """
    selection, given = check_options(paths, options)
    parser, seen, tally = parser or PassageParser(), options.get("seen") or Seen(), Tally()
    seen.begin(store.uid)
    with Writer(store, EmbedBatch(embed_model), batch_size, model=embed_model) as writer:
        report = writer.report
        names = names_of(paths, writer.catalog, options.get("name"))
        record_requests(writer.catalog, paths, {**options, "metadata": given})
        pruning = Pruning(names, selection)

        def skip(source: str, reason: str) -> None:
            report.skipped.append((source, reason))
            pruning.kept.add(source)

        find = partial(
            find_files,
            paths,
            name=names.source,
            follow_links=options.get("follow_links", False),
            selection=selection,
        )
        progress = _Meter(find, report, options.get("on_progress"))
        writer.on_batch = progress.tell
        for file in find(skip, tally=tally):
            if seen.has(file):
                pruning.kept.add(file.source)
                continue
            progress.begin(file)
            root, skipped = names.root(file.path), len(report.skipped)
            for source, pages in read_file(file, root, given, writer.meet, skip):
                passages = parser.get_nodes_from_documents(cleaned(pages, report))
                if pages and not passages:
                    skip(source, NO_TEXT)
                writer.put(source, passages, root.path, names_of_old(store.uid, file, source))
                progress.advance(pages)
            if len(report.skipped) == skipped:
                seen.put(file)
        writer.flush()
        for scope, is_gone in pruning.scopes(paths) if options.get("prune") else ():
            writer.prune(scope.path, is_gone)
        progress.end()
    seen.commit()
    report.passed_over, report.left_out = dict(sorted(tally.passed_over.items())), tally.left_out
    return report


def check_options(paths: Sequence[str | Path], options: IngestOptions) -> tuple[Selection, Mapping[str, Any]]:
    """What is meant of the paths, and the metadata that is given for all; ConfigError before anything is done."""
    check_paths(paths)
    selection = Selection(options.get("include", ()), options.get("exclude", ()), options.get("gitignore", True))
    return selection, check_given(options.get("metadata") or {})


def ingest_documents(
    documents: Iterable[Document],
    *,
    store: RagVectorStore,
    embed_model: BaseEmbedding,
    parser: NodeParser | None = None,
    batch_size: int = 64,
) -> IngestReport:
    """The same for LlamaIndex documents from any reader. A document's id decides what it replaces; documents that
    follow each other under one id are the pages of one."""
    parser = parser or PassageParser()
    with Writer(store, EmbedBatch(embed_model), batch_size, model=embed_model) as writer:
        for source, pages in groupby(documents, key=lambda one: one.node_id):
            if not writer.meet(source):
                writer.report.skipped.append((source, SECOND))
                continue
            passages = parser.get_nodes_from_documents(cleaned(list(pages), writer.report))
            if not passages:
                writer.report.skipped.append((source, NO_TEXT))
            writer.put(source, passages)
        writer.flush()
    return writer.report


class _Meter:
    """Tells a listener how far an ingest is. Without one nothing is measured."""

    def __init__(
        self, find: Callable[[Skip], Iterator[SourceFile]], report: IngestReport, listener: OnProgress | None
    ) -> None:
        self._report, self._listener = report, listener
        found = find(lambda *_: None) if listener else iter(())
        self._total = sum(file.size for file in found)
        self._file: SourceFile | None = None
        self._done = self._within = 0

    def begin(self, file: SourceFile) -> None:
        self._done += self._file.size if self._file else 0
        self._file, self._within = file, 0

    def advance(self, pages: Sequence[Document]) -> None:
        if self._listener and self._file:
            size = sum(len(page.text.encode()) for page in pages)
            self._within = min(self._within + size, self._file.size)
            self.tell()

    def tell(self) -> None:
        if self._file:
            self._tell(self._done + self._within, self._file.source)

    def end(self) -> None:
        if self._listener:
            self._tell(self._total, "")

    def _tell(self, done: int, source: str) -> None:
        if self._listener:
            self._listener(Progress(done, self._total, self._report.written + self._report.kept, source))
