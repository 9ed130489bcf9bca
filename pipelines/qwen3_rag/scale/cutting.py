"""The first step: documents to shards of passages, each compared with the collection."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from llama_index.core.schema import Document

from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.readers import corpus_document
from qwen3_rag.documents.sources import SourceFile
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.batches import Batch
from qwen3_rag.ingestion.reading import NO_TEXT, cleaned, mark_documents, names_of_old, read_file
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.ingestion.writer import Writer
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.manifest import Manifest, counts, load_manifest
from qwen3_rag.scale.plan import Plan
from qwen3_rag.scale.shards import ShardDocument, content_hash, to_table
from qwen3_rag.store.catalog import Root
from qwen3_rag.store.collection import write_identity
from qwen3_rag.store.opening import open_store
from qwen3_rag.store.vector_store import RagVectorStore


@dataclass
class Cut:
    """What became of some documents: shards, by their manifests; what was skipped and cleaned; a mark of each name."""

    shards: list[Manifest] = field(default_factory=list)
    report: IngestReport = field(default_factory=IngestReport)
    marks: array[int] = field(default_factory=lambda: array("Q"))
    size: int = 0
    """Bytes of the files, for the progress."""


def mark_of(source: str) -> int:
    """64 bits of a document's name."""
    return int.from_bytes(blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class _Cutter:
    """Puts documents into shards and compares those with the collection, through a client of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.work = plan, Folder(plan.work)
        self.parser = PassageParser(chunk_size=plan.config.chunk_size, chunk_overlap=plan.config.chunk_overlap)
        self._store: RagVectorStore | None = None
        self._model = plan.embedder()  # no weights: it is asked for lengths

    def cut(self, documents: Iterable[ShardDocument], cut: Cut) -> None:
        """Adds the shards to `cut`."""
        queue: list[ShardDocument] = []
        size = 0
        for document in documents:
            cut.marks.append(mark_of(document.source))
            if queue and size + len(document.nodes) > self.plan.shard_size:
                self._add(queue, cut)
                queue, size = [], 0
            queue.append(document)
            size += len(document.nodes)
        if queue:
            self._add(queue, cut)

    def _add(self, documents: Sequence[ShardDocument], cut: Cut) -> None:
        """A shard of these documents, recorded. One that the collection has as it is, is done."""
        shard = content_hash(to_table(documents))
        known = load_manifest(self.work, shard)
        self._store = self._store or open_store(self.plan.config, self.plan.identity)
        writer = Writer(self._store, _no_vectors, 1, compared=2**62, model=self._model)
        for document in documents:
            writer.put(document.source, document.nodes, document.root, document.old_names)
        found = writer.preview()
        if found.is_needed:
            table = to_table(documents, {node.node_id for node in found.missing})
            self.work.write_table(f"shards/{shard}.parquet", table)
        cut.report.cut += writer.report.cut
        manifest = Manifest(
            shard=shard,
            run=self.plan.run,
            state="cut" if found.is_needed else "done",
            model=json.loads(write_identity(self.plan.identity)),
            documents=len(documents),
            passages=sum(len(document.nodes) for document in documents),
            missing=len(found.missing),
            characters=sum(len(node.get_content()) for node in found.missing),
            attempt=known.attempt if known is not None and known.run == self.plan.run else 1,
            report=counts(writer.report),
        )
        cut.shards.append(manifest.save(self.work))


class CutFiles(_Cutter):
    """Files, each with its root, to shards."""

    def __call__(self, files: Sequence[tuple[SourceFile, Root]]) -> Cut:
        cut = Cut(size=sum(file.size for file, _ in files))
        self.cut(self._documents(files, cut), cut)
        return cut

    def _documents(self, files: Sequence[tuple[SourceFile, Root]], cut: Cut) -> Iterator[ShardDocument]:
        meet = mark_documents()
        for file, root in files:

            def skip(source: str, reason: str) -> None:
                cut.report.skipped.append((source, reason))

            for source, pages in read_file(file, root, self.plan.metadata, meet, skip):
                passages = self.parser.get_nodes_from_documents(cleaned(pages, cut.report))
                if pages and not passages:
                    skip(source, NO_TEXT)
                yield ShardDocument(source, root.path, passages, names_of_old(self.plan.uid, file, source))


@dataclass(frozen=True)
class Columns:
    """Where a row of a corpus has its document.

    Args:
        id, text, title: names of columns. A title that a corpus does not have is none.
        metadata: columns that passages keep, to filter by.
    """

    id: str = "_id"
    text: str = "text"
    title: str = "title"
    metadata: tuple[str, ...] = ()


class CutRows(_Cutter):
    """Rows of a corpus, each a document, to shards. `prefix` and `#` begin the documents' names."""

    def __init__(self, plan: Plan, root: Root, prefix: str, columns: Columns) -> None:
        super().__init__(plan)
        self._root, self._prefix, self._columns = root, prefix, columns
        self._added = {**plan.metadata, "root": root.path, "root_name": root.name}

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Cut:
        cut = Cut()
        self.cut(self._documents(rows, cut), cut)
        return cut

    def _documents(self, rows: Sequence[Mapping[str, Any]], cut: Cut) -> Iterator[ShardDocument]:
        for row in rows:
            try:
                document = self._document(row)
            except (UnreadableError, ConfigError) as error:
                cut.report.skipped.append((f"{self._prefix}#{row.get(self._columns.id)}", str(error)))
                continue
            yield ShardDocument(
                document.node_id, self._root.path, self.parser.get_nodes_from_documents(cleaned([document], cut.report))
            )

    def _document(self, row: Mapping[str, Any]) -> Document:
        columns = self._columns
        fields = {"_id": row.get(columns.id), "title": row.get(columns.title), "text": row.get(columns.text)}
        document = corpus_document(fields, self._prefix)
        added = {**self._added, **{name: row[name] for name in columns.metadata if row.get(name) is not None}}
        document.metadata.update(added)
        document.excluded_embed_metadata_keys.extend(added)
        document.excluded_llm_metadata_keys.extend(added)
        return document


def _no_vectors(batch: Batch) -> Batch:
    raise AssertionError("a comparison embeds nothing")
