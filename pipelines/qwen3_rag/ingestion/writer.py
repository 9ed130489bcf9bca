"""Documents against the collection: what is missing is embedded and written, what is stale deleted, safe to kill.

How it stays right: a passage's id is made from its document's name and its content, so a row says by itself what it is.
The catalog names all passages that a document may have in the collection. For each document the wanted ids are compared
with the rows that are there; missing passages are recorded, embedded and written, then those that should not be there
are deleted, and the record is cut down to the rest. A run that is killed leaves passages of the old version, of the new
one, or of both, never a hole; the next run finds by the same comparison what is left to do.

Only what the run meets is looked up, by primary key, so that its cost does not grow with the collection.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from llama_index.core.schema import BaseNode, MetadataMode

from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.batches import Batch, BatchStep, MilvusWriter, passages_batch
from qwen3_rag.ingestion.cuts import find_cuts
from qwen3_rag.ingestion.reading import mark_documents
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.store.catalog import Entry
from qwen3_rag.store.vector_store import RagVectorStore

COMPARED = 512
"""Passages whose documents are compared with the collection at once."""
DELETED = 500


@dataclass
class _Document:
    """What a document is to become, and how it compares with the collection."""

    source: str
    root: str
    nodes: dict[str, BaseNode]
    old_names: Sequence[str]
    """What version 0.1 may have called it; the first two are what it would call it today."""
    recorded: tuple[str, ...] = ()
    """Ids in the catalog."""
    home: str | None = None
    """The root in the catalog."""
    old: list[Entry] = field(default_factory=list)
    """Records of version 0.1 that this document takes over."""
    new: list[BaseNode] = field(default_factory=list)
    """Passages to write."""
    moved: list[BaseNode] = field(default_factory=list)
    """Passages that are there with other metadata."""
    stale: list[str] = field(default_factory=list)
    """Ids of rows to delete."""

    @property
    def ids(self) -> Iterator[str]:
        """All rows that may be there or are to be."""
        yield from self.recorded
        yield from (one for entry in self.old for one in entry.ids)
        yield from self.nodes

    @property
    def is_changed(self) -> bool:
        has_moved = bool(self.nodes) and self.home != self.root
        return bool(self.old) or self.recorded != tuple(self.nodes) or bool(self.new) or has_moved

    def takes_over(self, entry: Entry, held: Mapping[str, BaseNode]) -> bool:
        """Whether rows of version 0.1 are this document's: by a name that says so, or by a passage that both have."""
        texts = {_text(node) for node in self.nodes.values()}
        return entry.source in self.old_names[:2] or any(_text(held[one]) in texts for one in entry.ids if one in held)

    def compare(self, held: Mapping[str, BaseNode]) -> None:
        there = [one for one in dict.fromkeys(self.ids) if one in held]
        self.new = [node for one, node in self.nodes.items() if one not in held]
        self.moved = [self.nodes[one] for one in there if one in self.nodes and _differs(held[one], self.nodes[one])]
        self.stale = [one for one in there if one not in self.nodes]


@dataclass(frozen=True)
class Preview:
    """Passages that have to be embedded, and whether anything at all is to be written or deleted."""

    missing: list[BaseNode]
    is_needed: bool


class Writer:
    """Makes documents' passages the ones in the collection. Counts in `report`; leaving the block sets its seconds.

    Args:
        embed: adds vectors to the passages that are missing, `batch_size` at a time.
        compared: passages whose documents are compared with the collection at once.
        add: writes those passages, and says how many they were; an upsert by default.
        model: the embedding model, which may tell what it does not read; None: that is not asked.
    """

    def __init__(
        self,
        store: RagVectorStore,
        embed: BatchStep,
        batch_size: int,
        *,
        compared: int = COMPARED,
        add: Callable[[Batch], int] | None = None,
        model: object = None,
    ) -> None:
        self._started = time.monotonic()
        self.report = IngestReport()
        self.catalog = store.open_catalog()
        self.store, self._batch, self._compared = store, batch_size, compared
        self._model, self._embed = model, embed
        self._rows = MilvusWriter({}, store.collection_name, client=store.client)
        self._add = add or self._rows.upsert
        self._queue: dict[str, _Document] = {}
        self._queued = 0
        self.meet = mark_documents()
        self.on_batch: Callable[[], None] = lambda: None
        """Called after each batch is written: a large document has many."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.report.seconds = time.monotonic() - self._started

    def put(self, source: str, nodes: Sequence[BaseNode], root: str = "", old_names: Sequence[str] = ()) -> None:
        """Make `nodes` the passages of a document.

        Raises:
            ConfigError: two of them have the same id.
        """
        self.meet(source)
        by_id = {node.node_id: node for node in nodes}
        if len(by_id) < len(nodes):
            [(twice, _)] = Counter(node.node_id for node in nodes).most_common(1)
            raise ConfigError(f"document {source!r}: two of its passages have the id {twice!r}; give each its own")
        self._queue[source] = _Document(source, root, by_id, old_names)
        self._queued += len(nodes) + 1
        if self._queued >= self._compared:
            self.flush()

    def prune(self, root: str, is_gone: Callable[[str], bool]) -> None:
        """Delete the passages of documents of a root that were not met and of which `is_gone` holds."""
        self.flush()
        for source in list(self.catalog.below(root)):
            if is_gone(source) and self.meet(source):
                self.put(source, [], root)
                self.report.pruned += 1
        self.flush()

    def flush(self) -> None:
        """Bring what is queued into the collection."""
        documents = self._compare()
        if not documents:
            return
        changed = [document for document in documents if document.is_changed]
        self.catalog.put(Entry(one.source, one.root, tuple(dict.fromkeys(one.ids))) for one in changed)
        self._write_moved([node for document in documents for node in document.moved])
        self._write_new(documents)
        self._delete([one for document in documents for one in document.stale])
        self.catalog.put(Entry(one.source, one.root, tuple(one.nodes)) for one in changed if one.nodes)
        self.catalog.remove([Entry(one.source, one.root, one.recorded) for one in changed if not one.nodes])
        self.catalog.remove([entry for one in changed for entry in one.old if entry.source != one.source])
        for document in documents:
            self._count(document)
        self._tell_cuts(documents)

    def _tell_cuts(self, documents: Sequence[_Document]) -> None:
        known = {source for source, _ in self.report.cut}
        lists = [(one.source, list(one.nodes.values())) for one in documents if one.source not in known]
        self.report.cut.extend(find_cuts(self._model, lists))

    def preview(self) -> Preview:
        """What `flush` would do with the queue, which is empty then. Writes nothing; counts where nothing is to do."""
        documents = self._compare()
        is_needed = any(one.is_changed or one.moved or one.stale for one in documents)
        for document in () if is_needed else documents:
            self._count(document)
        self._tell_cuts(documents)
        return Preview(self._split_new(documents)[1], is_needed)

    def _compare(self) -> list[_Document]:
        """The queued documents, compared with the collection."""
        documents, self._queue, self._queued = list(self._queue.values()), {}, 0
        self._look_up(documents)
        held = self.store.held(list(dict.fromkeys(one for document in documents for one in document.ids)))
        for document in documents:
            document.compare(held)
        return documents

    def _look_up(self, documents: Sequence[_Document]) -> None:
        """What the catalog has of the documents, under their names of today and of version 0.1."""
        found = self.catalog.get([name for one in documents for name in (one.source, *one.old_names)])
        for document in documents:
            if document.source in found and not found[document.source].is_old:
                document.recorded, document.home = found[document.source].ids, found[document.source].root
            document.old = [found[name] for name in document.old_names if name in found and found[name].is_old]
        old = self.store.held([one for document in documents for entry in document.old for one in entry.ids])
        for document in documents:
            document.old = [entry for entry in document.old if document.takes_over(entry, old)]

    def _write_moved(self, nodes: Sequence[BaseNode]) -> None:
        """Write rows anew whose metadata changed; they keep their vectors."""
        held = self.store.held([node.node_id for node in nodes], with_vectors=True)
        for node in nodes:
            node.embedding = held[node.node_id].embedding
        if nodes:
            batch = passages_batch(nodes)
            # Milvus Lite keeps the fields of a row that the new one does not name: those that go are named, as null.
            gone = [dict.fromkeys(held[node.node_id].metadata.keys() - node.metadata.keys()) for node in nodes]
            rows = zip(batch["row"], gone, strict=True)
            batch["row"] = [json.dumps({**fields, **json.loads(row)}, ensure_ascii=False) for row, fields in rows]
            self._rows.upsert(batch)

    def _write_new(self, documents: Sequence[_Document]) -> None:
        """Write rows that are missing."""
        kept, rest = self._split_new(documents)
        if kept:
            self.report.kept += self._rows.upsert(passages_batch(kept))
        with ThreadPoolExecutor(1, thread_name_prefix="qwen3-write") as writing:  # leaving it waits for the last write
            written: Future[int] | None = None
            for start in range(0, len(rest), self._batch):
                batch = self._embed(passages_batch(rest[start : start + self._batch]))  # while the last one is written
                self._settle(written)
                written = writing.submit(self._add, batch)
            self._settle(written)

    def _settle(self, written: Future[int] | None) -> None:
        if written is not None:
            self.report.written += written.result()
            self.on_batch()

    def _split_new(self, documents: Sequence[_Document]) -> tuple[list[BaseNode], list[BaseNode]]:
        """Passages whose rows are missing: those whose text their document has in a row which goes, with that row's
        vector, and those that have to be embedded."""
        ids = [one for document in documents if document.new for one in document.stale]
        vectors = {_text(node): node.embedding for node in self.store.held(ids, with_vectors=True).values()}
        new = [node for document in documents for node in document.new]
        kept, rest = [node for node in new if _text(node) in vectors], [n for n in new if _text(n) not in vectors]
        for node in kept:
            node.embedding = vectors[_text(node)]
        return kept, rest

    def _delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), DELETED):
            self.store.delete_nodes(list(ids[start : start + DELETED]))

    def _count(self, document: _Document) -> None:
        self.report.documents += bool(document.nodes)
        self.report.unchanged += bool(document.nodes) and not (document.new or document.stale)
        self.report.kept += len(document.nodes) - len(document.new)
        self.report.updated += len(document.moved)
        self.report.deleted += len(document.stale)


def _text(node: BaseNode) -> str:
    return node.get_content(metadata_mode=MetadataMode.EMBED)


def _differs(held: BaseNode, wanted: BaseNode) -> bool:
    return dict(held.metadata) != dict(wanted.metadata)
