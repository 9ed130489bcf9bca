"""The documents of a collection and their passages' ids, in a small collection beside it.

Milvus finds rows by primary key at once and by anything else by looking at all of them, so what an ingest has to know
(which passages has this document? which root does this folder belong to?) lies here under keys that can be computed.

A document's record names every passage that may be in the collection: it is written before the passages are, and cut
down after what it replaces is deleted. A run that is killed leaves a record that names too many, never too few. That a
passage is really there only its own row says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePath
from typing import Any

from pymilvus import DataType, MilvusClient

from qwen3_rag.store.client import batches
from qwen3_rag.store.literals import literal
from qwen3_rag.store.paging import read_pages

SUFFIX = "__catalog"
MAX_NAME = 255 - len(SUFFIX)
"""Letters of a collection's name: Milvus allows 255."""
_BYTES = 60_000
"""Of ids in one record; Milvus holds 65,535 in a text. The ids of longer documents take several records."""
_GROUP = 1_000
"""Keys asked for or deleted at once."""
_STATE, _DOCUMENT, _PART, _ROOT, _NAME, _REQUEST = "state", "document", "part", "root", "name", "request"


@dataclass(frozen=True)
class Entry:
    """A document: its name, the root it was found below ("" for those that no file ingest wrote), its passages' ids.

    `is_old`: written by version 0.1, under a name that depended on the working directory.
    """

    source: str
    root: str
    ids: tuple[str, ...]
    is_old: bool = False


@dataclass(frozen=True)
class Root:
    """An ingested folder: `path` is absolute, `name` begins its documents' names; `nested` are the paths of the roots
    below it, which keep their files."""

    path: str
    name: str
    nested: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether an absolute path is this folder or lies below it."""
        return path == self.path or path.startswith(self.path.rstrip("/") + "/")

    def source(self, path: str) -> str:
        """The name of a file or folder by its absolute path.

        >>> Root("/home/me/project/docs", "docs").source("/home/me/project/docs/faq.md")
        'docs/faq.md'
        """
        below = PurePath(os.path.relpath(path, self.path)).as_posix()
        return self.name if below == "." else f"{self.name}/{below}"


class Catalog:
    """Made by `open_catalog`. All reads see all writes."""

    def __init__(self, client: MilvusClient, collection: str) -> None:
        self._client, self._name = client, collection + SUFFIX

    def get(self, sources: Sequence[str]) -> dict[str, Entry]:
        """The documents of these names that are recorded."""
        found = self._rows([_key(_DOCUMENT, source) for source in sources])
        more = [_part(row["source"], part) for row in found for part in range(1, row["parts"])]
        rest = {row["id"]: row for row in self._rows(more)}
        return {row["source"]: _entry(row, rest) for row in found}

    def put(self, entries: Iterable[Entry]) -> None:
        """Record documents in place of what is recorded of them."""
        for batch in batches(row for entry in entries for row in _document_rows(entry)):
            self._client.upsert(self._name, batch)

    def remove(self, entries: Iterable[Entry]) -> None:
        for keys in _in_groups(row["id"] for entry in entries for row in _document_rows(entry)):
            self._client.delete(self._name, ids=keys)

    def below(self, root: str) -> Iterator[str]:
        """The names of the documents that were found below a root."""
        for page in self._pages(["source"], f"kind == {literal(_DOCUMENT)} and root == {literal(root)}"):
            yield from (row["source"] for row in page)

    def move(self, root: str, to: str) -> None:
        """Count the documents of a root to another."""
        for group in _in_groups(list(self.below(root))):
            self.put(replace(entry, root=to) for entry in self.get(group).values())

    def counts(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Names that begin with `prefix`, each with the number of its passages, in no order."""
        for page in self._pages(["source", "passages"], f"kind == {literal(_DOCUMENT)}"):
            yield from ((row["source"], row["passages"]) for row in page if row["source"].startswith(prefix))

    def roots(self, paths: Sequence[str]) -> dict[str, Root]:
        """Those of the folders that are roots, by path."""
        return {row["root"]: _root(row) for row in self._rows([_key(_ROOT, path) for path in paths])}

    def root_named(self, name: str) -> Root | None:
        """The root that goes by a name."""
        rows = self._rows([_key(_NAME, name)])
        return self.roots([rows[0]["root"]]).get(rows[0]["root"]) if rows else None

    def all_roots(self) -> list[Root]:
        """Every root. Looks at all records: for new roots only."""
        pages = self._pages(["root", "source", "ids"], f"kind == {literal(_ROOT)}")
        return [_root(row) for page in pages for row in page]

    def put_root(self, root: Root, replaced: Root | None = None) -> None:
        """Record a root; `replaced` is the folder that went by its name before."""
        rows = [
            _row(_key(_ROOT, root.path), _ROOT, root=root.path, source=root.name, ids=json.dumps(root.nested)),
            _row(_key(_NAME, root.name), _NAME, root=root.path, source=root.name),
        ]
        self._client.upsert(self._name, rows)
        if replaced is not None and replaced.path != root.path:
            self._client.delete(self._name, ids=[_key(_ROOT, replaced.path)])

    def requests(self, paths: Sequence[str] | None = None) -> list[tuple[str, str]]:
        """What was recorded with `put_requests`, of these paths or of all."""
        if paths is not None:
            return [(row["root"], row["source"]) for row in self._rows([_key(_REQUEST, path) for path in paths])]
        pages = self._pages(["root", "source"], f"kind == {literal(_REQUEST)}")
        return [(row["root"], row["source"]) for page in pages for row in page]

    def put_requests(self, requests: Mapping[str, str]) -> None:
        """Record a text for each ingested path, in place of what is recorded of it."""
        for batch in batches(
            _row(_key(_REQUEST, path), _REQUEST, root=path, source=text) for path, text in requests.items()
        ):
            self._client.upsert(self._name, batch)

    def _rows(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        fields = ["id", "kind", "source", "root", "ids", "passages", "parts", "is_old"]
        for some in _in_groups(dict.fromkeys(keys)):
            found += self._client.get(self._name, some, output_fields=fields, consistency_level="Strong")
        return found

    def _pages(self, fields: Sequence[str], condition: str) -> Iterator[list[dict[str, Any]]]:
        return read_pages(self._client, self._name, fields, condition)


def open_catalog(client: MilvusClient, collection: str, uid: str, identity: str = "") -> Catalog:
    """The catalog of a collection, made, or made again from its passages, where there is none that belongs to it.

    Args:
        uid: the collection's own mark: one that was dropped and made again has another.
        identity: the embedding model, for a collection that cannot say it itself.
    """
    catalog = find_catalog(client, collection, uid)
    if catalog is None:
        drop_catalog(client, collection)
        catalog = Catalog(client, collection)
        _create(client, collection + SUFFIX)
        _fill(client, collection, catalog)
        identity = identity or "none"
    if identity:
        # Last: without this record all is done again.
        client.upsert(collection + SUFFIX, [_row(_key(_STATE, uid), _STATE, source=identity)])
    return catalog


def find_catalog(client: MilvusClient, collection: str, uid: str) -> Catalog | None:
    """The catalog of a collection where there is a whole one."""
    return Catalog(client, collection) if _state(client, collection + SUFFIX, uid) else None


def recorded_identity(client: MilvusClient, collection: str, uid: str) -> str | None:
    """The embedding model that the catalog names, as it was given to `open_catalog`."""
    found = _state(client, collection + SUFFIX, uid)
    return str(found["source"]) if found else None


def drop_catalog(client: MilvusClient, collection: str) -> None:
    if client.has_collection(collection + SUFFIX):
        client.drop_collection(collection + SUFFIX)


def is_catalog(name: str) -> bool:
    """Whether a collection is the catalog of another."""
    return name.endswith(SUFFIX)


def _state(client: MilvusClient, name: str, uid: str) -> dict[str, Any] | None:
    """The record that a whole catalog has."""
    if not client.has_collection(name) or not client.list_indexes(name):
        return None
    client.load_collection(name)
    found = client.get(name, [_key(_STATE, uid)], output_fields=["source"], consistency_level="Strong")
    return dict(found[0]) if found else None


def _create(client: MilvusClient, name: str) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field("kind", DataType.VARCHAR, max_length=16)
    for text in ("source", "root", "ids"):
        schema.add_field(text, DataType.VARCHAR, max_length=65_535)
    for number in ("passages", "parts"):
        schema.add_field(number, DataType.INT64)
    schema.add_field("is_old", DataType.BOOL)
    schema.add_field("none", DataType.FLOAT_VECTOR, dim=2)  # a collection must have a vector
    index = client.prepare_index_params()
    index.add_index("none", index_type="FLAT", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
    client.load_collection(name)


def _fill(client: MilvusClient, collection: str, catalog: Catalog) -> None:
    """Record the documents of all passages there are: of version 0.1, or of a program that writes passages itself."""
    found: dict[str, tuple[str, bool, list[tuple[int, str]]]] = {}
    roots: dict[str, str] = {}
    for page in read_pages(client, collection, ["id", "doc_id", "root", "root_name", "position", "format"]):
        for row in page:
            if row.get("root"):
                roots[row["root"]] = row.get("root_name") or PurePath(row["root"]).name
            is_old = row.get("root") is None and row.get("format") is not None
            _, _, ids = found.setdefault(row["doc_id"], (row.get("root") or "", is_old, []))
            ids.append((int(row.get("position") or 0), row["id"]))
    catalog.put(
        Entry(source, root, tuple(one for _, one in sorted(ids)), is_old)
        for source, (root, is_old, ids) in found.items()
    )
    for path, name in roots.items():
        root = Root(path, name)
        catalog.put_root(replace(root, nested=tuple(sorted(one for one in roots if one != path and root.holds(one)))))


def _document_rows(entry: Entry) -> Iterator[dict[str, Any]]:
    parts = list(_ids_in_parts(entry.ids))
    for number, part in reversed(list(enumerate(parts))):  # the first part last: it says how many there are
        yield _row(
            _part(entry.source, number) if number else _key(_DOCUMENT, entry.source),
            _PART if number else _DOCUMENT,
            root=entry.root,
            source=entry.source,
            ids=json.dumps(part),
            passages=len(entry.ids),
            parts=len(parts),
            is_old=entry.is_old,
        )


def _ids_in_parts(ids: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for one in ids:
        size += len(json.dumps(one)) + 2
        if part and size > _BYTES:
            yield part
            part, size = [], len(json.dumps(one)) + 2
        part.append(one)
    yield part


def _entry(row: dict[str, Any], rest: dict[str, dict[str, Any]]) -> Entry:
    ids = json.loads(row["ids"])
    for number in range(1, row["parts"]):
        ids += json.loads(rest[_part(row["source"], number)]["ids"])
    return Entry(row["source"], row["root"], tuple(ids), row["is_old"])


def _root(row: dict[str, Any]) -> Root:
    return Root(row["root"], row["source"], tuple(json.loads(row["ids"])))


def _row(key: str, kind: str, **values: Any) -> dict[str, Any]:
    empty = {"source": "", "root": "", "ids": "[]", "passages": 0, "parts": 1, "is_old": False}
    return {"id": key, "kind": kind, **empty, **values, "none": [0.0, 0.0]}


def _part(source: str, number: int) -> str:
    return _key(_PART, f"{number} {source}")


def _key(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind} {name}".encode("utf-8", "surrogatepass")).hexdigest()


def _in_groups(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while group := list(islice(iterator, _GROUP)):
        yield group
