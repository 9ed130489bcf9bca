"""The Milvus collection behind everything: created, recognised and checked here.

`RagVectorStore` is a `MilvusVectorStore` and keeps its fields, its rows and its queries. It differs in four places:

- Async. The base class binds an async client to the first event loop it sees; a second `asyncio.run`, a notebook or a
  web server then fails. Here the async methods run the sync ones in a thread: gRPC releases the GIL while it waits.
- It asks Milvus for the fields it reads, not for the vectors of every hit.
- Hybrid queries and rows get their BM25 words from `qwen3_rag.store.bm25`, for scripts without spaces.
- `close()` lets go of the database, the lock of Milvus Lite included.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.vector_stores.milvus import MilvusVectorStore
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.models import ModelIdentity
from qwen3_rag.store import bm25
from qwen3_rag.store.collection import METRIC, PROPERTY, check_collection, describe, is_unfinished
from qwen3_rag.store.connect import client_for, client_options, prepare_folder, release_lite, require_database
from qwen3_rag.store.paging import read_pages

_CLIENT = ("uri", "token", "grpc_options")
_READ_FIELDS = ["text", "_node_content", "_node_type"]
_KEYWORD_MODES = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH)


class RagVectorStore(MilvusVectorStore):
    """See the module docstring. Made by `open_store`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, use_async_client=False)
        self.uri = kwargs["uri"]  # the base class keeps its default here
        if self.enable_sparse:
            # A second handle on the same pooled connection; the base class has no parameter for its client.
            plain = self._milvusclient
            self._milvusclient = bm25.SearchTextClient(**{key: kwargs[key] for key in _CLIENT if key in kwargs})
            plain.close()

    @classmethod
    def class_name(cls) -> str:
        return "RagVectorStore"

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        changes: dict[str, Any] = {}
        if query.output_fields is None and query.mode is not VectorStoreQueryMode.MMR:
            changes["output_fields"] = list(_READ_FIELDS)  # the base class appends to the list it is given
        if query.mode in _KEYWORD_MODES and query.query_str:
            changes["query_str"] = bm25.search_text(query.query_str)
        return super().query(dataclasses.replace(query, **changes), **kwargs)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        return await asyncio.to_thread(self.query, query, **kwargs)

    async def async_add(self, nodes: Sequence[BaseNode], **add_kwargs: Any) -> list[str]:
        return await asyncio.to_thread(self.add, list(nodes), **add_kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> list[BaseNode]:
        return await asyncio.to_thread(self.get_nodes, node_ids, filters, **kwargs)

    async def aclear(self) -> None:
        await asyncio.to_thread(self.clear)

    def count(self) -> int:
        """Rows in the collection, all writes included."""
        rows = self.client.query(self.collection_name, output_fields=["count(*)"], consistency_level="Strong")
        return int(rows[0]["count(*)"])

    def count_sources(self, prefix: str = "") -> Counter[str]:
        """Passages by source, for sources that begin with `prefix`. Reads the names of all rows."""
        found: Counter[str] = Counter()
        for page in read_pages(self.client, self.collection_name, ["doc_id", "source"]):
            found.update(name for row in page if (name := row.get("source") or row["doc_id"]).startswith(prefix))
        return found

    def close(self) -> None:
        """Close the connection; of Milvus Lite also the database, whose lock another process may want.

        A Lite database is one per process: other stores on the same path are closed with it.
        """
        self.client.close()
        release_lite(self.uri)


def open_store(
    config: RagConfig, identity: ModelIdentity | None, *, create: bool = False, overwrite: bool = False
) -> RagVectorStore:
    """The collection of `config`, checked against the embedding model and loaded.

    Args:
        identity: the embedding model that is going to be used; None skips the comparison (`info`).
        create: make the collection when it is missing. Otherwise a missing one is an error, and nothing is created.
        overwrite: drop it first. Implies `create`.

    Raises:
        ConfigError: the collection was made with another model, dimension, metric or set of fields.
        UnavailableError: no such database or collection, server away, or the lock is held by another process.

    >>> store = open_store(RagConfig(embed_model="tiny"), identify(config), create=True)
    >>> store.count()
    0
    """
    create = create or overwrite
    (prepare_folder if create else require_database)(config)
    with client_for(config) as client:
        found = describe(client, config.collection)
        if found and create and (overwrite or is_unfinished(client, config.collection, found)):
            client.drop_collection(config.collection)
            found = None
        if found is not None:
            check_collection(config, found, identity)
            store = _make(config, found.dimension, found.hybrid)
        elif not create:
            raise UnavailableError(_missing(client, config))
        elif identity is None:
            raise ConfigError("a new collection needs the identity of its embedding model")
        else:
            store = _make(config, identity.dimension, config.hybrid or config.mode == "hybrid")
            record = {PROPERTY: json.dumps(dataclasses.asdict(identity), ensure_ascii=False)}
            client.alter_collection_properties(config.collection, record)
        # A process that opens a Lite database finds its collections "released".
        client.load_collection(config.collection)
    return store


def drop_collection(config: RagConfig) -> bool:
    """Drop the configured collection; False when it was not there."""
    require_database(config)
    try:
        with client_for(config) as client:
            there = bool(client.has_collection(config.collection))
            if there:
                client.drop_collection(config.collection)
            return there
    finally:
        release_lite(config.uri)


def _make(config: RagConfig, dimension: int, hybrid: bool) -> RagVectorStore:
    keyword: dict[str, Any] = {}
    if hybrid:
        keyword = {
            "enable_sparse": True,
            "sparse_embedding_function": bm25.bm25_function(),
            "scalar_field_names": [bm25.FIELD],
            "scalar_field_types": [DataType.VARCHAR],
        }
    return RagVectorStore(
        **client_options(config),
        collection_name=config.collection,
        dim=dimension,
        similarity_metric=METRIC,
        consistency_level="Strong",
        # An upsert makes a repeated write harmless: node ids are made from the content.
        upsert_mode=True,
        # Exact search in Lite; servers choose (Zilliz Cloud takes nothing else).
        index_config={"index_type": "FLAT" if config.is_lite else "AUTOINDEX"},
        **keyword,
    )


def _missing(client: MilvusClient, config: RagConfig) -> str:
    try:
        there = ", ".join(sorted(client.list_collections())) or "none"
    except MilvusException:
        there = "unknown"
    return (
        f"no collection {config.collection!r} in {config.uri} (there: {there}); "
        "fill it with `qwen3-rag ingest PATH`, or give --collection"
    )
