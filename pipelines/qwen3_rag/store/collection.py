"""What a collection says about itself, compared with what the configuration is about to use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymilvus import DataType, MilvusClient

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.store.bm25 import FIELD as BM25_FIELD
from qwen3_rag.store.catalog import recorded_identity
from qwen3_rag.store.connect import client_for, release_lite
from qwen3_rag.store.recognition import RowLikeness, check_model

PROPERTY = "qwen3_rag.embedding"
"""Collection property with the embedding model's name, revision, dimension and probe vectors, as JSON."""
UID = "qwen3_rag.uid"
"""Collection property that tells a collection from one that had its name before."""

METRIC = "IP"
_TEXT_FIELDS = ("id", "doc_id", "text")


@dataclass(frozen=True)
class CollectionInfo:
    """A collection as found. `identity` is None when nothing recorded its embedding model, `uid` "" if 0.1 made it."""

    fields: tuple[str, ...]
    dimension: int
    metric: str | None
    hybrid: bool
    identity: ModelIdentity | None
    uid: str = ""


def describe(client: MilvusClient, name: str) -> CollectionInfo | None:
    """What Milvus knows of the collection, or None when there is none."""
    if not client.has_collection(name):
        return None
    raw = client.describe_collection(name)
    fields = {field["name"]: field for field in raw["fields"]}
    vector = fields.get("embedding", {})
    indexes = set(client.list_indexes(name))
    metric = client.describe_index(name, "embedding").get("metric_type") if "embedding" in indexes else None
    properties = recorded_properties(raw)
    uid = str(properties.get(UID, ""))
    return CollectionInfo(
        fields=tuple(fields),
        dimension=int(vector.get("params", {}).get("dim", 0)) if vector.get("type") == DataType.FLOAT_VECTOR else 0,
        metric=metric,
        hybrid={"sparse_embedding", BM25_FIELD} <= fields.keys() and "sparse_embedding" in indexes,
        identity=read_identity(properties.get(PROPERTY)) or read_identity(recorded_identity(client, name, uid)),
        uid=uid,
    )


def is_unfinished(client: MilvusClient, name: str, found: CollectionInfo) -> bool:
    """Whether this is what a process killed while creating the collection leaves: ours, empty, and a part missing."""
    keyword_part = "sparse_embedding" in found.fields
    complete = found.identity is not None and found.metric is not None and found.hybrid == keyword_part
    if complete or not {*_TEXT_FIELDS, "embedding"} <= set(found.fields):
        return False
    if found.metric is None:  # without an index it cannot be loaded, and was never written to
        return int(client.get_collection_stats(name)["row_count"]) == 0
    client.load_collection(name)
    return not client.query(name, filter="", output_fields=["id"], limit=1, consistency_level="Strong")


def check_collection(
    config: RagConfig, found: CollectionInfo, identity: ModelIdentity | None, rows: RowLikeness
) -> None:
    """Raise ConfigError unless vectors of `identity` belong into, or can be searched in, the collection.

    Args:
        rows: compares the collection's own vectors with a model's.
    """
    here = f"collection {config.collection!r} in {config.uri}"
    other = "use another --collection, or rebuild it with `qwen3-rag ingest PATH --overwrite`"
    missing = [name for name in _TEXT_FIELDS if name not in found.fields]
    if missing or found.dimension == 0:
        lacking = ", ".join(missing) or "embedding (float vector)"
        raise ConfigError(f"{here} has the fields {', '.join(found.fields)} and lacks {lacking}; {other}")
    if found.metric is not None and found.metric != METRIC:
        raise ConfigError(f"{here} is indexed by {found.metric}, this pipeline searches by {METRIC}; {other}")
    if config.mode == "hybrid" and not found.hybrid:
        raise ConfigError(
            f"{here} has no BM25 field, and --mode hybrid needs one; use --mode dense, "
            "or rebuild it with `qwen3-rag ingest PATH --hybrid --overwrite`"
        )
    if config.hybrid and not found.hybrid:
        raise ConfigError(
            f"{here} has no BM25 field, and --hybrid asks for one: it must be there from the start; {other}"
        )
    if identity is None:
        return
    if found.identity is None:
        raise ConfigError(
            f"{here} does not say which model embedded it, you use {identity}; if it was this one, take the collection "
            f"over with `qwen3-rag ingest PATH --adopt`; else {other}"
        )
    check_model(here, other, found.identity, identity, rows)
    if found.dimension != identity.dimension:
        raise ConfigError(
            f"{here} holds vectors of {found.dimension} dimensions, the model is set to {identity.dimension}; "
            f"use --dimensions {found.dimension}, or {other}"
        )


def written_properties(identity: ModelIdentity, uid: str) -> dict[str, str]:
    """What a collection says about itself from its creation on."""
    return {PROPERTY: write_identity(identity), UID: uid}


def recorded_properties(description: dict[str, Any]) -> dict[str, Any]:
    """The same as found: in the properties, or in the description, where a server keeps it as well."""
    text = str(description.get("description") or "")
    try:
        found = json.loads(text) if text.startswith("{") else {}
    except ValueError:
        found = {}
    return {**found, **(description.get("properties") or {})}


def write_identity(identity: ModelIdentity) -> str:
    recorded = {name: getattr(identity, name) for name in ("name", "revision", "dimension", "probes")}
    return json.dumps(recorded, ensure_ascii=False)


def read_identity(text: Any) -> ModelIdentity | None:
    try:
        return ModelIdentity(**json.loads(text))
    except (TypeError, ValueError):
        return None


def collection_info(config: RagConfig) -> dict[str, Any] | None:
    """Rows, fields and embedding model of the configured collection; None when it is not there yet."""
    if config.is_lite and not Path(config.uri).exists():
        return None
    try:
        with client_for(config) as client:
            found = describe(client, config.collection)
            if found is None:
                return None
            rows = None
            if found.metric is not None:  # without an index it cannot be loaded
                client.load_collection(config.collection)
                counted = client.query(config.collection, output_fields=["count(*)"], consistency_level="Strong")
                rows = int(counted[0]["count(*)"])
    finally:
        release_lite(config.uri)
    return {
        "rows": rows,
        "embed_model": found.identity.name if found.identity else None,
        "embed_revision": found.identity.revision if found.identity else None,
        "dimensions": found.dimension,
        "metric": found.metric,
        "hybrid": found.hybrid,
        "fields": list(found.fields),
    }
