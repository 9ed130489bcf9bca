"""Documents with their passages as Parquet tables: what goes from step to step, and from machine to machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node

from qwen3_rag.ingestion.batches import passages_batch

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("root", pa.string()),
        ("old_names", pa.list_(pa.string())),
        ("id", pa.string()),
        ("text", pa.string()),
        ("row", pa.string()),
        ("missing", pa.bool_()),
    ]
)
"""A line a passage; of a document without any, one line with `id` null. `text` is what is embedded, `row` the other
fields of the passage as JSON, `missing` says that the collection lacks it."""


@dataclass(frozen=True)
class ShardDocument:
    """A document by its name, its root's path, what version 0.1 may have called it, and its passages in order."""

    source: str
    root: str
    nodes: Sequence[BaseNode]
    old_names: Sequence[str] = ()


def to_table(documents: Sequence[ShardDocument], missing: Collection[str] = ()) -> pa.Table:
    """The documents as a shard. `missing` are ids of passages."""
    lines: list[dict[str, Any]] = []
    for document in documents:
        same = {"source": document.source, "root": document.root, "old_names": list(document.old_names)}
        batch = passages_batch(document.nodes)
        columns = zip(batch["id"], batch["text"], batch["row"], strict=True)
        passages = [{"id": one, "text": text, "row": row, "missing": one in missing} for one, text, row in columns]
        lines += [{**same, **passage} for passage in passages or [{}]]
    return pa.Table.from_pylist(lines, schema=SCHEMA)


def documents_of(table: pa.Table) -> Iterator[ShardDocument]:
    """The documents of a shard as they were."""
    for source, lines in groupby(table.to_pylist(), key=lambda line: line["source"]):
        found = list(lines)
        nodes = [_node(line["row"]) for line in found if line["id"] is not None]
        yield ShardDocument(source, found[0]["root"], nodes, found[0]["old_names"])


def content_hash(table: pa.Table) -> str:
    """A name for the documents and passages of a shard: 32 letters, the same wherever it is cut."""
    digest = hashlib.sha256()
    for line in table.to_pylist():
        content = [line["source"], line["root"], line["old_names"], line["id"], line["row"]]
        digest.update(json.dumps(content, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()[:32]


def vectors_table(ids: Sequence[str], vectors: Sequence[Sequence[float]]) -> pa.Table:
    """Vectors by passage id, in float32."""
    flat = np.asarray(vectors, np.float32).reshape(len(ids), -1)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    return pa.table({"id": pa.array(ids, pa.string()), "embedding": column})


def read_vectors(table: pa.Table) -> Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """The vectors by passage id."""
    column = table["embedding"].combine_chunks()
    flat = column.values.to_numpy().reshape(table.num_rows, -1)
    return dict(zip(table["id"].to_pylist(), flat, strict=True))


def _node(row: str) -> BaseNode:
    fields = json.loads(row)
    return metadata_dict_to_node(fields, text=fields["text"])
