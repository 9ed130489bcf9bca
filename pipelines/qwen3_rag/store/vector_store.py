"""The Milvus collection behind everything, as a LlamaIndex vector store.

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
from llama_index.core.vector_stores.utils import metadata_dict_to_node
from llama_index.vector_stores.milvus import MilvusVectorStore

from qwen3_rag.store import bm25
from qwen3_rag.store.catalog import Catalog, find_catalog, open_catalog
from qwen3_rag.store.client import StoreClient
from qwen3_rag.store.connect import release_lite
from qwen3_rag.store.paging import read_pages
from qwen3_rag.store.scope import ScopedClient

_CLIENT = ("uri", "token", "grpc_options")
_READ_FIELDS = ["text", "_node_content", "_node_type"]
_GROUP = 1_000
"""Rows asked for by id at once."""
_KEYWORD_MODES = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.TEXT_SEARCH)


class RagVectorStore(MilvusVectorStore):
    """See the module docstring. Made by `open_store`."""

    uid: str = ""
    """The collection's own mark; "" where version 0.1 made it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, use_async_client=False)
        self.uri = kwargs["uri"]  # the base class keeps its default here
        # A second handle on the same pooled connection; the base class has no parameter for its client.
        plain = self._milvusclient
        options = {key: kwargs[key] for key in _CLIENT if key in kwargs}
        self._milvusclient = StoreClient(**options, has_words=self.enable_sparse)
        plain.close()

    @classmethod
    def class_name(cls) -> str:
        return "RagVectorStore"

    def scoped(self, scope: MetadataFilters) -> RagVectorStore:
        """The same collection as if it had no other passages than those that `scope` holds for. For reading only.

        >>> store.scoped(parse_filters(["team=red"])).count_sources()
        Counter({'red/faq.md': 4})
        """
        condition, _ = self._prepare_before_search(VectorStoreQuery(filters=scope))
        view = self.model_copy()
        view._milvusclient = ScopedClient(self.client, self.collection_name, condition)
        return view

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
        """Passages by source, for sources that begin with `prefix`: from the catalog, or else from all rows."""
        catalog = find_catalog(self.client, self.collection_name, self.uid)
        if catalog is not None:
            return Counter(dict(catalog.counts(prefix)))
        found: Counter[str] = Counter()
        for page in read_pages(self.client, self.collection_name, ["doc_id", "source"]):
            found.update(name for row in page if (name := row.get("source") or row["doc_id"]).startswith(prefix))
        return found

    def open_catalog(self) -> Catalog:
        """The record of the documents, which an ingest compares with."""
        return open_catalog(self.client, self.collection_name, self.uid)

    def held(self, ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, BaseNode]:
        """The passages of these ids that are there, by id; with their vectors where asked for."""
        fields = [*_READ_FIELDS, *(["embedding"] if with_vectors else [])]
        found: dict[str, BaseNode] = {}
        for start in range(0, len(ids), _GROUP):
            some = list(ids[start : start + _GROUP])
            rows = self.client.get(self.collection_name, some, output_fields=fields, consistency_level="Strong")
            for row in rows:
                node = metadata_dict_to_node({**row, "_node_type": row.get("_node_type")}, text=row["text"])
                node.embedding = [float(value) for value in row["embedding"]] if with_vectors else None
                found[row["id"]] = node
        return found

    def close(self) -> None:
        """Close the connection; of Milvus Lite also the database, whose lock another process may want.

        A Lite database is one per process: other stores on the same path are closed with it.
        """
        self.client.close()
        release_lite(self.uri)
