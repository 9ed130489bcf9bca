"""What every process of a run has to know, and the steps that it consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from llama_index.core.base.embeddings.base import BaseEmbedding

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.identity import ModelIdentity

SHARD_SIZE = 1_024
IMPORT_ABOVE = 100_000
"""Missing passages from which on a place for imports is used: each job costs seconds and makes a segment."""


@dataclass(frozen=True)
class Importing:
    """Milvus' bulk import.

    Args:
        folder: where Milvus reads files: a path or URL in the bucket (or on the disk) that it stores its own data in.
        url: of its HTTP service, where that is not the configured one.
        above: missing passages from which on it is used; 0: always.
    """

    folder: str
    url: str | None = None
    above: int = IMPORT_ABOVE


@dataclass(frozen=True)
class Plan:
    """A run: settings only, so that it can be sent to other machines.

    Args:
        work: the folder of shards and manifests.
        run: its mark; see `begin_run`.
        uid: the collection's mark.
        embedder: makes the embedding model, in the process that uses it.
        shard_size: passages of a shard; a document is never divided.
        metadata: given for every passage.
    """

    config: RagConfig
    identity: ModelIdentity
    work: str
    run: str
    uid: str
    embedder: Callable[[], BaseEmbedding]
    shard_size: int = SHARD_SIZE
    metadata: Mapping[str, Any] = field(default_factory=dict)
    importing: Importing | None = None


@dataclass(frozen=True)
class Stage:
    """A step: `make` is called once in each process that does it, and gives what turns one item into the next.

    `kind` tells an engine what it needs: "cut" reads the documents, "embed" computes, "load" writes to Milvus.
    """

    kind: Literal["cut", "embed", "load"]
    make: Callable[[], Callable[[Any], Any]]


class Engine(Protocol):
    """Something that can put items through stages, each item through all of them; the results come in any order.

    An item whose process dies may be put through a stage again: every stage can be repeated.
    """

    def __call__(self, items: Sequence[Any], stages: Sequence[Stage]) -> Iterator[Any]: ...


def in_process(items: Sequence[Any], stages: Sequence[Stage]) -> Iterator[Any]:
    """The engine that needs none: one item after the other, here."""
    steps = [stage.make() for stage in stages]
    for item in items:
        for step in steps:
            item = step(item)
        yield item


def check_server(config: RagConfig) -> None:
    """Raise ConfigError for a database that only one process can open."""
    if config.is_lite:
        raise ConfigError(
            f"{config.uri} is a Milvus Lite file, which one process can open, and this ingest has several; serve it "
            f"with `milvus-lite server --data-dir {config.uri} --host 127.0.0.1 --port 19530` and give "
            "--uri http://127.0.0.1:19530, or use a Milvus server"
        )
