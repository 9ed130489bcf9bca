"""The last step: a shard's documents into the collection, by the same writer as on one machine."""

from __future__ import annotations

from collections.abc import Callable

from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.batches import Batch
from qwen3_rag.ingestion.writer import Writer
from qwen3_rag.scale.bulk_import import BulkImport
from qwen3_rag.scale.embedding import require_manifest
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.manifest import Manifest, counts
from qwen3_rag.scale.plan import Plan
from qwen3_rag.scale.shards import documents_of, read_vectors
from qwen3_rag.store.opening import open_store


class LoadShard:
    """Shards by name, one after the other: what is missing is written, what changed replaced, the record kept."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._work = plan, Folder(plan.work)
        self._store = open_store(plan.config, plan.identity)
        self._import = BulkImport(plan, self._store, self._work) if plan.importing else None

    def __call__(self, shard: str) -> Manifest:
        manifest = require_manifest(self._work, shard)
        if manifest.state == "done":
            return manifest
        if manifest.state == "importing":
            manifest = self._importer(manifest).settle(manifest)
        add = self._import.adding(manifest) if self._import else None
        documents = documents_of(self._work.read_table(f"shards/{shard}.parquet"))
        with Writer(self._store, self._vectors(manifest), max(manifest.passages, 1), compared=2**62, add=add) as writer:
            for document in documents:
                writer.put(document.source, document.nodes, document.root, document.old_names)
            writer.flush()
        current = require_manifest(self._work, shard)  # an import has noted its job
        return current.moved_to(self._work, "done", report=counts(writer.report))

    def _importer(self, manifest: Manifest) -> BulkImport:
        if self._import is None:
            raise ConfigError(
                f"Milvus may be importing shard {manifest.shard}; give --import-to once more, to end that"
            )
        return self._import

    def _vectors(self, manifest: Manifest) -> Callable[[Batch], Batch]:
        """Takes the vectors from the shard's file."""
        name = manifest.vectors
        found = read_vectors(self._work.read_table(name)) if name else {}

        def embed(batch: Batch) -> Batch:
            if lost := [one for one in batch["id"] if one not in found]:
                raise UnavailableError(
                    f"{len(lost)} passages of shard {manifest.shard} have left the collection since it was compared: "
                    "something else writes to it; the same command again goes on from here"
                )
            return {**batch, "embedding": [found[one] for one in batch["id"]]}

        return embed
