"""How a run over many machines is done, whatever it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from llama_index.core.base.embeddings.base import BaseEmbedding
from platformdirs import user_cache_path

from qwen3_rag.addresses import without_password
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.models import load_embedder, load_models
from qwen3_rag.scale.plan import SHARD_SIZE, Importing

MAX_SHARD = 1_000_000


@dataclass(frozen=True)
class Embedder:
    """An embedding model: who it is, and what makes it in the process that uses it."""

    identity: ModelIdentity
    make: Callable[[], BaseEmbedding]


@dataclass(frozen=True)
class Settings:
    """How a run is done.

    Args:
        work: folder of its shards, by a path or URL that every machine sees; None: one in this user's cache.
        shard_size: passages that are embedded, written and imported together.
        importing: a place for Milvus' bulk import; None: rows are written by upserts.
        keep: leave the shards and their vectors in the work folder when all is done.
        embedder: the model; None: the configured one.
    """

    work: str | None = None
    shard_size: int = SHARD_SIZE
    importing: Importing | None = None
    keep: bool = False
    embedder: Embedder | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.shard_size <= MAX_SHARD:
            raise ConfigError(f"shard_size={self.shard_size}: a shard has 1 to {MAX_SHARD:,} passages; 1024 is usual")
        if self.importing is not None and self.importing.above < 0:
            raise ConfigError(f"import_above={self.importing.above} is below 0; 0 imports always")

    def work_for(self, config: RagConfig) -> str:
        """The work folder, a fixed one for each collection."""
        if self.work is not None:
            return self.work
        target = f"{without_password(config.uri)} {config.collection}"
        return str(user_cache_path("qwen3-rag") / "runs" / hashlib.sha256(target.encode()).hexdigest()[:16])

    def embedder_for(self, config: RagConfig) -> Embedder:
        if self.embedder is not None:
            return self.embedder
        return Embedder(load_models(config, rerank=False).identity, partial(load_embedder, config))
