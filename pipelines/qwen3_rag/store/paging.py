"""Reading a whole collection page by page, in constant memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from pymilvus import MilvusClient

PAGE = 16_384
"""Milvus' bound on the rows of one query."""


def read_pages(
    client: MilvusClient, collection: str, fields: Sequence[str], condition: str = ""
) -> Iterator[list[dict[str, Any]]]:
    """All rows of the collection of which a condition holds, all writes included."""
    with _IteratorWarningOff():
        pages = client.query_iterator(
            collection, filter=condition, batch_size=PAGE, output_fields=list(fields), consistency_level="Strong"
        )
        try:
            while page := pages.next():
                yield page
        finally:
            pages.close()


class _IteratorWarningOff(logging.Filter):
    """Milvus Lite has no MVCC timestamps; pymilvus warns of that at every iterator, to no use."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "mvccTs" not in record.getMessage()

    def __enter__(self) -> None:
        logging.getLogger("pymilvus.orm.iterator").addFilter(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("pymilvus.orm.iterator").removeFilter(self)
