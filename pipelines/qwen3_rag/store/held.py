"""What the collection holds right now, for comparing: a temporary SQLite table, so that memory stays flat.

Milvus is the one source of truth. This copy of its (id, document) pairs is read from it when an ingest starts and is
gone when it ends; nothing is ever resumed from it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from pymilvus import MilvusClient

from qwen3_rag.store.paging import read_pages


class Snapshot:
    """Ids by document, and which documents this run has met."""

    def __init__(self) -> None:
        # The empty name makes a private database in a temporary file, which SQLite deletes on close.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; PRAGMA cache_size=-8000;"
            "CREATE TABLE held(id TEXT PRIMARY KEY, doc TEXT) WITHOUT ROWID;"
            "CREATE INDEX by_doc ON held(doc);"
            "CREATE TABLE met(doc TEXT PRIMARY KEY) WITHOUT ROWID;"
        )

    @classmethod
    def read(cls, client: MilvusClient, collection: str) -> Snapshot:
        """All (id, doc_id) pairs of the collection, by pages."""
        snapshot = cls()
        for page in read_pages(client, collection, ["id", "doc_id"]):
            snapshot._db.execute("BEGIN")
            snapshot._db.executemany(
                "INSERT OR REPLACE INTO held VALUES (?, ?)", ((row["id"], row["doc_id"]) for row in page)
            )
            snapshot._db.execute("COMMIT")
        return snapshot

    def ids(self, doc: str) -> set[str]:
        """The ids held for a document."""
        return {row[0] for row in self._db.execute("SELECT id FROM held WHERE doc = ?", (doc,))}

    def add(self, ids: list[str], doc: str) -> None:
        """Count ids as held, from the moment they are queued: a document met twice is then written once."""
        self._db.executemany("INSERT OR REPLACE INTO held VALUES (?, ?)", ((one, doc) for one in ids))

    def remove(self, ids: set[str]) -> None:
        self._db.executemany("DELETE FROM held WHERE id = ?", ((one,) for one in ids))

    def meet(self, doc: str) -> bool:
        """Mark a document as met in this run. False when it was met before."""
        return self._db.execute("INSERT OR IGNORE INTO met VALUES (?)", (doc,)).rowcount == 1

    def unmet(self) -> Iterator[str]:
        """Documents held that this run has not met."""
        rows = self._db.execute("SELECT DISTINCT doc FROM held WHERE doc NOT IN (SELECT doc FROM met) ORDER BY doc")
        while row := rows.fetchone():
            yield row[0]

    def close(self) -> None:
        self._db.close()
