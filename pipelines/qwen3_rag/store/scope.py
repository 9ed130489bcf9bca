"""A collection of which only some rows can be read: the condition is put into every read, below everything that asks.

Retrievers, tools and services read through a store's client. Given a `ScopedClient` in its place, none of them can read
other rows, whatever its caller says: a further condition only narrows down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pymilvus import AnnSearchRequest

from qwen3_rag.errors import ConfigError
from qwen3_rag.store.literals import literal

if TYPE_CHECKING:
    from qwen3_rag.store.client import StoreClient

_OPENING = {")": "(", "]": "[", "}": "{"}


class ScopedClient:
    """The reads of a `MilvusClient` for the rows of one collection of which `condition` holds.

    Other collections, its catalog among them, are not there. What writes is not there either.
    """

    def __init__(self, client: StoreClient, collection: str, condition: str) -> None:
        self._client, self._collection, self._condition = client, collection, whole(condition)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a collection with a scope can be read, and no more: there is no {name!r}")

    def search(self, collection_name: str, data: Any = None, filter: str = "", **kwargs: Any) -> Any:
        return self._client.search(self._own(collection_name), data, filter=self._within(filter), **kwargs)

    def hybrid_search(
        self, collection_name: str, reqs: Sequence[AnnSearchRequest], ranker: Any, limit: int = 10, **kwargs: Any
    ) -> Any:
        within = [
            AnnSearchRequest(one.data, one.anns_field, one.param, one.limit, expr=self._within(one.expr or ""))
            for one in reqs
        ]
        return self._client.hybrid_search(self._own(collection_name), within, ranker, limit, **kwargs)

    def query(
        self, collection_name: str, filter: str = "", *, ids: str | Sequence[str] | None = None, **kwargs: Any
    ) -> Any:
        if ids is not None:
            return self.get(collection_name, ids, **kwargs)
        return self._client.query(self._own(collection_name), filter=self._within(filter), **kwargs)

    def get(self, collection_name: str, ids: str | Sequence[str], **kwargs: Any) -> Any:
        wanted = [ids] if isinstance(ids, str) else [str(one) for one in ids]
        if not wanted:
            return []
        return self.query(collection_name, f"id in [{', '.join(map(literal, wanted))}]", **kwargs)

    def query_iterator(self, collection_name: str, filter: str = "", **kwargs: Any) -> Any:
        return self._client.query_iterator(self._own(collection_name), filter=self._within(filter), **kwargs)

    def has_collection(self, collection_name: str, **kwargs: Any) -> bool:
        return collection_name == self._collection and bool(self._client.has_collection(collection_name, **kwargs))

    def close(self) -> None:
        self._client.close()

    def _own(self, collection: str) -> str:
        if collection != self._collection:
            raise ConfigError(f"collection {collection!r} is outside of the scope; there is {self._collection!r}")
        return collection

    def _within(self, condition: str) -> str:
        return f"({self._condition}) and ({whole(condition)})" if condition.strip() else self._condition


def whole(condition: str) -> str:
    """The condition, if it is one by itself: what opens in it closes in it, so that nothing of it can reach out of the
    brackets that it is put into.

    >>> whole("source == 'a (1).md' and (page > 2)")
    "source == 'a (1).md' and (page > 2)"
    """
    opened: list[str] = []
    quote = ""
    letters = iter(condition)
    for letter in letters:
        if quote:
            if letter == "\\":
                next(letters, "")
            elif letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            opened.append(letter)
        elif letter in _OPENING and (not opened or opened.pop() != _OPENING[letter]):
            raise _not_whole(condition)
    if quote or opened or not condition.strip():
        raise _not_whole(condition)
    return condition


def _not_whole(condition: str) -> ConfigError:
    return ConfigError(f"{condition[:200]!r} is no condition by itself: close what it opens, quotes and brackets")
