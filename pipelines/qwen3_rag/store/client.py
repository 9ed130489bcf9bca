"""The Milvus client of a collection: calls that end, a restart of the server survived, rows with BM25 words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from qwen3_rag.store.bm25 import FIELD, search_text

TIMEOUT = 30.0
"""Seconds for a call, in which pymilvus connects and tries again. Without one it tries for minutes."""
MAX_ROWS = 1_000
MAX_BYTES = 8 << 20
"""Of rows in one call: gRPC refuses 64 MiB, and a vector of 4,096 numbers is 16 KiB."""


class StoreClient(MilvusClient):  # type: ignore[misc]
    """A `MilvusClient` as `MilvusVectorStore` uses one.

    Args:
        has_words: fill `bm25_text` in the rows that are written.
    """

    def __init__(self, *args: Any, has_words: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_words = has_words

    def insert(self, collection_name: str, data: Any, **kwargs: Any) -> Any:
        return self._write(super().insert, collection_name, data, kwargs)

    def upsert(self, collection_name: str, data: Any, **kwargs: Any) -> Any:
        return self._write(super().upsert, collection_name, data, kwargs)

    def delete(self, collection_name: str, *args: Any, **kwargs: Any) -> Any:
        return self._loaded(super().delete, collection_name, *args, **kwargs)

    def get(self, collection_name: str, *args: Any, **kwargs: Any) -> Any:
        return self._loaded(super().get, collection_name, *args, **kwargs)

    def query(self, collection_name: str, *args: Any, **kwargs: Any) -> Any:
        return self._loaded(super().query, collection_name, *args, **kwargs)

    def query_iterator(self, collection_name: str, *args: Any, **kwargs: Any) -> Any:
        return self._loaded(super().query_iterator, collection_name, *args, **kwargs)

    def search(self, collection_name: str, *args: Any, **kwargs: Any) -> Any:
        return self._loaded(super().search, collection_name, *args, **kwargs)

    def hybrid_search(self, collection_name: str, *args: Any, **kwargs: Any) -> Any:
        return self._loaded(super().hybrid_search, collection_name, *args, **kwargs)

    def _write(self, call: Callable[..., Any], collection: str, rows: Any, kwargs: dict[str, Any]) -> Any:
        rows = [rows] if isinstance(rows, dict) else rows
        result: Any = None
        for batch in batches(rows):
            sent = [_with_words(row) for row in batch] if self._has_words else batch
            result = call(collection, sent, **_timed(kwargs))
        return result

    def _loaded(self, call: Callable[..., Any], collection: str, *args: Any, **kwargs: Any) -> Any:
        """A server that was restarted has its collections, but not in memory: load, and ask once more."""
        try:
            return call(collection, *args, **_timed(kwargs))
        except MilvusException as error:
            if not _says_not_loaded(error):
                raise
            self.load_collection(collection, timeout=TIMEOUT)
            return call(collection, *args, **_timed(kwargs))


def batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in groups that one call can carry. Of rows with an equal id the last one counts: Milvus refuses two."""
    distinct = {row.get("id", index): dict(row) for index, row in enumerate(rows)}
    batch: list[dict[str, Any]] = []
    size = 0
    for row in distinct.values():
        more = _bytes(row)
        if batch and (len(batch) == MAX_ROWS or size + more > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += more
    if batch:
        yield batch


def _with_words(row: dict[str, Any]) -> dict[str, Any]:
    """A passage with the words of its text; the catalog's records have none."""
    return {**row, FIELD: search_text(str(row["text"]))} if "text" in row else row


def _bytes(row: Mapping[str, Any]) -> int:
    """About what a row takes on its way: texts in UTF-8, numbers in 4 bytes."""
    return sum(_size(value) for value in row.values())


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return 4 * len(value) if isinstance(value, Sequence) else 8


def _timed(kwargs: dict[str, Any]) -> dict[str, Any]:
    return kwargs if kwargs.get("timeout") is not None else {**kwargs, "timeout": TIMEOUT}


def _says_not_loaded(error: MilvusException) -> bool:
    message = str(error.message).lower()
    return "not loaded" in message or "not been loaded" in message or "'released'" in message
