"""Documents against the collection: what is missing is embedded and written, what is stale deleted, safe to kill.

How it stays right without a journal: a passage's id is made from its source and content, so the rows themselves say
what is there. For each document the wanted ids are compared with the held ones; missing passages are embedded and
written first, then those that should not be there are deleted. A run that is killed leaves passages of the old version,
of the new one, or of both, never a hole; the next run finds by the same comparison what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import BaseNode, MetadataMode

from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.store.held import Snapshot
from qwen3_rag.store.vector_store import RagVectorStore

DELETE_BATCH = 500


class Writer:
    """Makes documents' passages the ones in the collection. Counts in `report`; leaving the block sets its seconds."""

    def __init__(self, store: RagVectorStore, embed_model: BaseEmbedding, batch_size: int) -> None:
        self._started = time.monotonic()
        self.report = IngestReport()
        self._store, self._embed, self._batch = store, embed_model, batch_size
        self._held = Snapshot.read(store.client, store.collection_name)
        self._queue: list[BaseNode] = []
        self._stale: list[str] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._held.close()
        self.report.seconds = time.monotonic() - self._started

    def meet(self, doc: str) -> bool:
        """Mark a document as there. False when it was met before."""
        return self._held.meet(doc)

    def put(self, doc: str, nodes: Sequence[BaseNode]) -> None:
        """Make `nodes` the passages of `doc`."""
        self._held.meet(doc)
        held = self._held.ids(doc)
        new = [node for node in nodes if node.node_id not in held]
        stale = held.difference(node.node_id for node in nodes)
        self.report.documents += bool(nodes)
        self.report.unchanged += bool(nodes) and not new and not stale
        self.report.kept += len(nodes) - len(new)
        self._held.add([node.node_id for node in new], doc)
        self._held.remove(stale)
        self._queue.extend(new)
        self._stale.extend(stale)
        while len(self._queue) >= self._batch:
            self._write()
        if len(self._stale) >= DELETE_BATCH:
            self.flush()

    def prune(self, is_gone: Callable[[str], bool]) -> None:
        """Delete the passages of documents that were not met and of which `is_gone` holds."""
        for doc in list(self._held.unmet()):
            if is_gone(doc):
                self.put(doc, [])
                self.report.pruned += 1
        self.flush()

    def flush(self) -> None:
        """Write what is queued, then delete what it replaces: in this order a kill leaves no hole."""
        while self._queue:
            self._write()
        while self._stale:
            batch, self._stale = self._stale[:DELETE_BATCH], self._stale[DELETE_BATCH:]
            self._store.delete_nodes(batch)
            self.report.deleted += len(batch)

    def _write(self) -> None:
        nodes, self._queue = self._queue[: self._batch], self._queue[self._batch :]
        vectors = self._embed.get_text_embedding_batch([n.get_content(metadata_mode=MetadataMode.EMBED) for n in nodes])
        for node, vector in zip(nodes, vectors, strict=True):
            node.embedding = vector
        self._store.add(nodes)
        self.report.written += len(nodes)
