"""What is in the collection, for labels and for questions about it."""

from __future__ import annotations

from qwen3_rag.session import Session
from qwen3_rag.store.paging import read_pages


def header_paths(session: Session) -> dict[str, set[str]]:
    """Every source with the header paths of its passages, "" for one without headings."""
    found: dict[str, set[str]] = {}
    store = session.store
    for page in read_pages(store.client, store.collection_name, ["doc_id", "source", "header_path"]):
        for row in page:
            found.setdefault(str(row.get("source") or row["doc_id"]), set()).add(str(row.get("header_path") or ""))
    return found
