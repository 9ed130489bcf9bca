"""Files or documents to passages in Milvus: streamed, incremental, and safe to kill at any moment (see `writer`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import Document

from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.formats import FORMATS
from qwen3_rag.documents.sources import Skip, SourceFile
from qwen3_rag.documents.walk import check_paths, find_files
from qwen3_rag.ingestion.report import IngestReport, OnProgress, Progress
from qwen3_rag.ingestion.roots import Names, names_of, old_names
from qwen3_rag.ingestion.writer import Writer
from qwen3_rag.store.catalog import Root
from qwen3_rag.store.vector_store import RagVectorStore


def ingest(
    paths: Sequence[str | Path],
    *,
    store: RagVectorStore,
    embed_model: BaseEmbedding,
    parser: NodeParser | None = None,
    prune: bool = False,
    name: str | None = None,
    follow_links: bool = False,
    batch_size: int = 64,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Bring the collection in line with files and folders (Markdown, plain text, BEIR corpus.jsonl).

    Args:
        prune: delete the passages of files below `paths` that are no longer there. Files that could not be read keep
            their passages, and so do documents that no file ingest wrote.
        name: what the folder is called in the names of its documents, instead of its own name; the name of a folder
            that has moved.
        follow_links: also read what links below a folder reach outside it; else they are skipped.
        batch_size: passages embedded and written together.

    Raises:
        ConfigError: a path does not exist, or two folders have the same name; nothing has been written then.

    >>> report = ingest(["docs/"], store=store, embed_model=models.embed, prune=True)
    >>> report.written, report.kept, report.skipped
    (72, 0, [])
    """
    check_paths(paths)
    parser = parser or PassageParser()
    with Writer(store, embed_model, batch_size) as writer:
        report, unreadable = writer.report, set[str]()

        def skip(source: str, reason: str) -> None:
            report.skipped.append((source, reason))
            unreadable.add(source)

        names = names_of(paths, writer.catalog, name)
        progress = _Meter(paths, names, follow_links, report, on_progress)
        writer.on_batch = progress.tell
        for file in find_files(paths, skip, name=names.source, follow_links=follow_links):
            progress.begin(file)
            root = names.root(file.path)
            for source, found in groupby(_read(file, root, writer, skip), key=lambda document: document.node_id):
                pages = list(found)
                passages = parser.get_nodes_from_documents(pages)
                writer.put(source, passages, root.path, _old_names(store, file, source))
                progress.advance(pages)
        writer.flush()
        if prune:
            for path in paths:
                writer.prune(names.root(path).path, _is_gone(names, path, unreadable))
        progress.end()
    return report


def ingest_documents(
    documents: Iterable[Document],
    *,
    store: RagVectorStore,
    embed_model: BaseEmbedding,
    parser: NodeParser | None = None,
    batch_size: int = 64,
) -> IngestReport:
    """The same for LlamaIndex documents from any reader. A document's id decides what it replaces."""
    parser = parser or PassageParser()
    with Writer(store, embed_model, batch_size) as writer:
        for document in documents:
            writer.put(document.node_id, parser.get_nodes_from_documents([document]))
        writer.flush()
    return writer.report


def _is_gone(names: Names, path: str | Path, unreadable: Iterable[str]) -> Callable[[str], bool]:
    """Tells, of a document of the path's root that this run has not met, whether it is to go: it lay below the path,
    or its name is one that the root had before."""
    below, own = names.source(path), names.root(path).name

    def is_gone(source: str) -> bool:
        return (_below(source, below) or not _below(source, own)) and not _below_any(source, unreadable)

    return is_gone


def _old_names(store: RagVectorStore, file: SourceFile, source: str) -> list[str]:
    """What version 0.1 may have called a document of a file, in a collection that it made."""
    part = source.removeprefix(file.source)
    return [] if store.uid else [name + part for name in old_names(file.path)]


def _read(file: SourceFile, root: Root, writer: Writer, skip: Skip) -> Iterator[Document]:
    """The file's documents. The reader tells `skip` of parts, this function of the whole, that cannot be read."""
    try:
        for document in FORMATS[file.kind].reader.lazy_load_data(file.path, source=file.source, skip=skip):
            # The file itself may be given twice; an id of its own that a part of it gives itself may not.
            if document.node_id != file.source and not writer.meet(document.node_id):
                skip(document.node_id, "second document with this id; the first one is used")
                continue
            document.metadata |= {"root": root.path, "root_name": root.name}
            document.excluded_embed_metadata_keys += ["root", "root_name"]
            document.excluded_llm_metadata_keys += ["root", "root_name"]
            yield document
    except UnreadableError as error:
        skip(file.source, str(error))
        if str(error) == "empty":
            writer.put(file.source, [], root.path, _old_names(writer.store, file, file.source))
    except OSError as error:
        skip(file.source, (error.strerror or str(error)).lower())


class _Meter:
    """Tells a listener how far an ingest is. Without one nothing is measured."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        names: Names,
        follow_links: bool,
        report: IngestReport,
        listener: OnProgress | None,
    ) -> None:
        self._report, self._listener = report, listener
        found = find_files(paths, lambda *_: None, name=names.source, follow_links=follow_links) if listener else ()
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


def _below(source: str, outer: str) -> bool:
    """Whether a document is the one of another name, or lies below or in it."""
    return source == outer or source.startswith((f"{outer}/", f"{outer}#"))


def _below_any(source: str, outer: Iterable[str]) -> bool:
    return any(_below(source, one) for one in outer)
