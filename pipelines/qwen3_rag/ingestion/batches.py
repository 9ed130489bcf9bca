"""The two steps that every way of ingesting is made of, on one machine or many: texts to vectors, rows to Milvus.

A batch is columns, `{"id": [...], "text": [...], "row": [...]}`: what goes by the wire between processes. `text` is
what is embedded, `row` the passage's other fields as JSON. Both steps carry settings when they are pickled, and make
their model or client at the first batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from pymilvus.exceptions import MilvusException
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from qwen3_rag.store.client import StoreClient, batches

Batch = dict[str, Any]
BatchStep = Callable[[Batch], Batch]
ATTEMPTS = 4
"""Of one write, over about 15 seconds; each has the client's own retries in it."""


class EmbedBatch:
    """Adds the column `embedding`.

    >>> batch = EmbedBatch(lambda: Qwen3Embedding("tiny"))(passages_batch(nodes))
    >>> len(batch["embedding"][0])
    256
    """

    def __init__(self, model: BaseEmbedding | Callable[[], BaseEmbedding]) -> None:
        self._model = model if isinstance(model, BaseEmbedding) else None
        self._make = None if isinstance(model, BaseEmbedding) else model

    def __call__(self, batch: Batch) -> Batch:
        if self._model is None and self._make is not None:
            self._model = self._make()
        assert self._model is not None  # noqa: S101  one of the two was given
        return {**batch, "embedding": self._model.get_text_embedding_batch(list(batch["text"]))}

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_model": None if self._make else self._model}


class MilvusWriter:
    """Writes batches with their vectors. The same batch again changes nothing; of equal ids the last one counts.

    Args:
        options: arguments of the client; see `qwen3_rag.store.connect.client_options`.
        has_words: the collection has a BM25 field.
        client: an open client to use in this process.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        collection: str,
        *,
        has_words: bool = False,
        client: StoreClient | None = None,
    ) -> None:
        self._options, self._collection, self._has_words = dict(options), collection, has_words
        self._client = client

    def upsert(self, batch: Batch) -> int:
        """The number of rows written.

        Raises:
            MilvusException: the server did not take them after several attempts.
        """
        if self._client is None:
            self._client = StoreClient(**self._options, has_words=self._has_words)
        written = 0
        for rows in batches(batch_rows(batch)):
            for attempt in _attempts():
                with attempt:
                    self._client.upsert(self._collection, rows)
            written += len(rows)
        return written

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}


def passages_batch(nodes: Sequence[BaseNode]) -> Batch:
    """Passages as columns; their vectors too where all have one."""
    batch: Batch = {
        "id": [node.node_id for node in nodes],
        "text": [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes],
        "row": [_row(node) for node in nodes],
    }
    if nodes and all(node.embedding is not None for node in nodes):
        batch["embedding"] = [node.embedding for node in nodes]
    return batch


def _row(node: BaseNode) -> str:
    """As `MilvusVectorStore.add` writes a node, without its vector."""
    row = node_to_metadata_dict(node, remove_text=True, text_field="text")
    row["text"] = node.get_content(metadata_mode=MetadataMode.NONE)
    return json.dumps({**row, "id": node.node_id}, ensure_ascii=False)


def batch_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """The rows of a batch that has vectors, as Milvus takes them."""
    for row, vector in zip(batch["row"], batch["embedding"], strict=True):
        yield {**json.loads(row), "embedding": [float(value) for value in vector]}


def _attempts() -> Retrying:
    """Tries again where the server may be back: not where it refuses the rows."""
    return Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(initial=1, max=8),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    text = str(getattr(error, "message", error)).lower()
    signs = ("unavailable", "connect", "timeout", "deadline", "rate limit", "not ready", "retry")
    return isinstance(error, MilvusException) and any(sign in text for sign in signs)
