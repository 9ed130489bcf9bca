"""Taking documents out of a collection by their names."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pruning import prefixes
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.store.reading import passage_ids
from qwen3_rag.store.vector_store import RagVectorStore

_DELETED = 500


def remove_documents(store: RagVectorStore, sources: Sequence[str]) -> IngestReport:
    """Delete documents, each by its name or that of a folder or file that it lies in.

    Raises:
        ConfigError: no document goes by one of the names; nothing has been deleted then.

    >>> remove_documents(store, ["docs/old.md", "docs/drafts"]).deleted
    12
    """
    started, report = time.monotonic(), IngestReport()
    catalog = store.open_catalog()
    wanted = {source.rstrip("/") for source in sources}
    there = dict(catalog.counts())
    found = {source for source in there if any(one in wanted for one in prefixes(source))}
    found |= {source for source in wanted - there.keys() if passage_ids(store, source)}
    met = {one for source in found for one in prefixes(source)}
    if missing := sorted(wanted - met):
        raise ConfigError(f"no document {missing[0]!r} in collection {store.collection_name!r}; nothing was removed")
    for source in sorted(found):
        ids = passage_ids(store, source)
        for start in range(0, len(ids), _DELETED):
            store.delete_nodes(ids[start : start + _DELETED])
        # Last: a run that is killed leaves a record that names too many passages, never too few.
        catalog.remove(catalog.get([source]).values())
        report.deleted += len(ids)
        report.pruned += 1
    report.seconds = time.monotonic() - started
    return report
