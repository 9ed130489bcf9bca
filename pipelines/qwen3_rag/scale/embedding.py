"""The second step: the passages of a shard that the collection lacks to vectors, in a file beside it."""

from __future__ import annotations

import hashlib

from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.batches import EmbedBatch
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.manifest import Manifest, load_manifest
from qwen3_rag.scale.plan import Plan
from qwen3_rag.scale.shards import vectors_table
from qwen3_rag.store.collection import write_identity


class EmbedShard:
    """Shards by name, one after the other, by one model. The model computes a text at once: what is wrong with it, or
    with its server, shows before the first shard is read.

    Raises:
        ConfigError: its vectors are not as long as those of the collection.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._work = plan, Folder(plan.work)
        self._embed = EmbedBatch(plan.embedder())
        dimension = len(self._embed({"text": ["A passage."]})["embedding"][0])
        if dimension != plan.identity.dimension:
            raise ConfigError(
                f"the embedding model gives {dimension} dimensions, the collection has {plan.identity.dimension}; "
                "see --dimensions"
            )
        self._model = hashlib.sha256(write_identity(plan.identity).encode()).hexdigest()[:12]

    def __call__(self, shard: str) -> str:
        manifest = require_manifest(self._work, shard)
        if manifest.state in ("done", "importing") or not manifest.missing:
            return shard
        name = f"vectors/{shard}-{self._model}.parquet"
        table = self._work.read_table(f"shards/{shard}.parquet")
        missing = table.filter(table["missing"])
        ids = missing["id"].to_pylist()
        if not (self._work.has(name) and set(ids) <= set(self._work.read_table(name)["id"].to_pylist())):
            batch = self._embed({"text": missing["text"].to_pylist()})
            self._work.write_table(name, vectors_table(ids, batch["embedding"]))
        manifest.moved_to(self._work, "embedded", vectors=name)
        return shard


def require_manifest(work: Folder, shard: str) -> Manifest:
    """What is recorded of a shard that another process has cut.

    Raises:
        UnavailableError: this machine does not see it.
    """
    manifest = load_manifest(work, shard)
    if manifest is None:
        raise UnavailableError(
            f"shard {shard} is not in {work.url} as this machine sees it; give a --work-dir that all machines of the "
            "cluster share, on a network drive or in an object store"
        )
    return manifest
