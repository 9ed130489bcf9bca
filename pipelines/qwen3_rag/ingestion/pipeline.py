"""Files to passages in Milvus: streamed, incremental, and safe to kill at any moment.

How it stays right without a journal: a passage's id is made from its source and content, so the rows themselves say
what is there. For each document the wanted ids are compared with the held ones; missing passages are embedded and
written first, then those that should not be there are deleted. A run that is killed leaves passages of the old version,
of the new one, or of both, never a hole; the next run finds by the same comparison what is left to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, Document, MetadataMode

from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.readers import READERS, UnreadableError
from qwen3_rag.documents.walk import SourceFile, check_paths, find_files, source_name
from qwen3_rag.store.held import Snapshot
from qwen3_rag.store.vector_store import RagVectorStore

DELETE_BATCH = 500


@dataclass
class IngestReport:
    """What an ingest did. `skipped` lists (source, reason)."""

    documents: int = 0
    unchanged: int = 0
    written: int = 0
    kept: int = 0
    deleted: int = 0
    pruned: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every source could be read."""
        return not self.skipped


@dataclass(frozen=True)
class Progress:
    """Where an ingest stands. `total_bytes` is the size of all files."""

    done_bytes: int
    total_bytes: int
    passages: int
    source: str


OnProgress = Callable[[Progress], None]


def ingest(
    paths: Sequence[str | Path],
    *,
    store: RagVectorStore,
    embed_model: BaseEmbedding,
    parser: NodeParser | None = None,
    prune: bool = False,
    batch_size: int = 64,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Bring the collection in line with files and folders (Markdown, plain text, BEIR corpus.jsonl).

    Args:
        prune: delete the passages of sources below `paths` that are no longer there. Files that could not be read
            keep their passages.
        batch_size: passages embedded and written together.

    Raises:
        ConfigError: a path does not exist; nothing has been written then.

    >>> report = ingest(["docs/"], store=store, embed_model=models.embed, prune=True)
    >>> report.written, report.kept, report.skipped
    (72, 0, [])
    """
    check_paths(paths)
    started = time.monotonic()
    report = IngestReport()
    total = sum(file.size for file in find_files(paths, lambda *_: None)) if on_progress else 0
    writer = Writer(store, embed_model, report, batch_size)
    try:
        unreadable: list[str] = []

        def skip(source: str, reason: str) -> None:
            report.skipped.append((source, reason))
            unreadable.append(source)

        done = 0
        for file in find_files(paths, skip):
            within = 0
            for document in _read(file, writer, skip):
                writer.put(document.node_id, _parse(document, parser))
                if on_progress:
                    within = min(within + len(document.text.encode()), file.size)
                    on_progress(Progress(done + within, total, report.written + report.kept, file.source))
            done += file.size
        writer.flush()
        if prune:
            _prune(writer, [source_name(Path(path)) for path in paths], unreadable)
        if on_progress:
            on_progress(Progress(total, total, report.written + report.kept, ""))
    finally:
        writer.close()
    report.seconds = time.monotonic() - started
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
    started = time.monotonic()
    report = IngestReport()
    writer = Writer(store, embed_model, report, batch_size)
    try:
        for document in documents:
            writer.put(document.node_id, _parse(document, parser))
        writer.flush()
    finally:
        writer.close()
    report.seconds = time.monotonic() - started
    return report


class Writer:
    """Compares documents with the collection and writes the difference, in an order that survives a kill."""

    def __init__(
        self, store: RagVectorStore, embed_model: BaseEmbedding, report: IngestReport, batch_size: int
    ) -> None:
        self._store, self._embed, self._report, self._batch = store, embed_model, report, batch_size
        self.held = Snapshot.read(store.client, store.collection_name)
        self._queue: list[BaseNode] = []
        self._stale: list[str] = []

    def put(self, doc: str, nodes: Sequence[BaseNode]) -> None:
        """Make `nodes` the passages of `doc`."""
        self.held.meet(doc)
        held = self.held.ids(doc)
        new = [node for node in nodes if node.node_id not in held]
        stale = held.difference(node.node_id for node in nodes)
        self._report.documents += bool(nodes)
        self._report.unchanged += bool(nodes) and not new and not stale
        self._report.kept += len(nodes) - len(new)
        self.held.add([node.node_id for node in new], doc)
        self.held.remove(stale)
        self._queue.extend(new)
        self._stale.extend(stale)
        while len(self._queue) >= self._batch:
            self._write()
        if len(self._stale) >= DELETE_BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is queued, then delete what it replaces: in this order a kill leaves no hole."""
        while self._queue:
            self._write()
        while self._stale:
            batch, self._stale = self._stale[:DELETE_BATCH], self._stale[DELETE_BATCH:]
            self._store.delete_nodes(batch)
            self._report.deleted += len(batch)

    def close(self) -> None:
        self.held.close()

    def _write(self) -> None:
        nodes, self._queue = self._queue[: self._batch], self._queue[self._batch :]
        vectors = self._embed.get_text_embedding_batch([n.get_content(metadata_mode=MetadataMode.EMBED) for n in nodes])
        for node, vector in zip(nodes, vectors, strict=True):
            node.embedding = vector
        self._store.add(nodes)
        self._report.written += len(nodes)


def _read(file: SourceFile, writer: Writer, skip: Callable[[str, str], None]) -> Iterable[Document]:
    """The file's documents; what cannot be read goes to `skip`."""
    arguments = {"skip": skip} if file.kind == "beir" else {}
    try:
        for document in READERS[file.kind].lazy_load_data(file.path, source=file.source, **arguments):
            if file.kind == "beir" and not writer.held.meet(document.node_id):
                skip(document.node_id, "second document with this id; the first one is used")
                continue
            yield document
    except UnreadableError as error:
        skip(file.source, str(error))
        if str(error) == "empty":
            writer.put(file.source, [])
    except OSError as error:
        skip(file.source, (error.strerror or str(error)).lower())


def _parse(document: Document, parser: NodeParser | None) -> list[BaseNode]:
    return (parser or _DEFAULT_PARSER).get_nodes_from_documents([document])


def _prune(writer: Writer, roots: Sequence[str], unreadable: Sequence[str]) -> None:
    """Delete the passages of documents below `roots` that this run has not met and that did not fail to be read."""
    report = writer._report
    for doc in list(writer.held.unmet()):
        if any(_below(doc, root) for root in roots) and not any(_below(doc, source) for source in unreadable):
            writer.put(doc, [])
            report.pruned += 1
    writer.flush()


def _below(doc: str, root: str) -> bool:
    """Whether a source lies at or below another; both are names relative to the current folder, or absolute."""
    doc, root = os.path.abspath(doc), os.path.abspath(root)
    return doc == root or doc.startswith((root.rstrip("/") + "/", f"{root}#"))


_DEFAULT_PARSER = PassageParser()
