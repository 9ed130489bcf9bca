"""Finding, making and dropping the collection of a configuration."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import Any

from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.store import bm25
from qwen3_rag.store.catalog import MAX_NAME, drop_catalog, is_catalog, open_catalog
from qwen3_rag.store.collection import (
    METRIC,
    CollectionInfo,
    check_collection,
    describe,
    is_unfinished,
    write_identity,
    written_properties,
)
from qwen3_rag.store.connect import client_for, client_options, prepare_folder, release_lite, require_database
from qwen3_rag.store.recognition import SAME, RowLikeness, row_likeness
from qwen3_rag.store.vector_store import RagVectorStore

_TEXT = 65_535
"""Milvus' bound on one VARCHAR value, in bytes of UTF-8."""


def open_store(
    config: RagConfig,
    identity: ModelIdentity | None,
    *,
    create: bool = False,
    overwrite: bool = False,
    adopt: bool = False,
) -> RagVectorStore:
    """The collection of `config`, checked against the embedding model and loaded.

    Args:
        identity: the embedding model that is going to be used; None skips the comparison (`info`). A new collection
            records its vectors of two fixed texts: it is asked for them, if it can be asked and they are not known.
        create: make the collection when it is missing. Otherwise a missing one is an error, and nothing is created.
        overwrite: drop it first. Implies `create`.
        adopt: take over a collection that does not say its model, if the vectors of some rows are those of the model.

    Raises:
        ConfigError: the collection was made with another model, dimension, metric or set of fields.
        UnavailableError: no such database or collection, server away, or the lock is held by another process.

    >>> store = open_store(RagConfig(embed_model="tiny"), identify(config), create=True)
    >>> store.count()
    0
    """
    create = create or overwrite
    (prepare_folder if create else require_database)(config)
    with client_for(config) as client:
        found = describe(client, config.collection)
        is_old = bool(found and create and (overwrite or is_unfinished(client, config.collection, found)))
        if found is None or is_old:
            if not create:
                raise UnavailableError(_missing(client, config))
            if identity is None:
                raise ConfigError("a new collection needs the identity of its embedding model")
            identity = identity.probed()  # before anything is dropped: it may fail
            if is_old:
                _drop(client, config.collection)
            uid, hybrid = uuid.uuid4().hex, config.hybrid or config.mode == "hybrid"
            try:
                _create(client, config, identity, uid, hybrid)
            except MilvusException as error:
                if "no index" not in str(error):
                    raise
                # Milvus Lite's server was seen to miss the index of a collection that was dropped a moment before.
                _drop(client, config.collection)
                _create(client, config, identity, uid, hybrid)
            client.load_collection(config.collection)
            return _attach(config, identity.dimension, hybrid, uid)
        rows = partial(row_likeness, client, config.collection)
        if adopt and identity is not None and found.identity is None:
            check_collection(config, found, None, rows)
            _adopt(client, config, found, identity, rows)
        else:
            check_collection(config, found, identity, rows)
        # A process that opens a Lite database finds its collections "released".
        client.load_collection(config.collection)
        return _attach(config, found.dimension, found.hybrid, found.uid)


def drop_collection(config: RagConfig) -> bool:
    """Drop the configured collection; False when it was not there."""
    require_database(config)
    try:
        with client_for(config) as client:
            there = bool(client.has_collection(config.collection))
            _drop(client, config.collection)
            return there
    finally:
        release_lite(config.uri)


def _drop(client: MilvusClient, name: str) -> None:
    """The passages go first: a catalog without its collection is made anew, passages without catalog would be kept."""
    if client.has_collection(name):
        client.drop_collection(name)
    drop_catalog(client, name)


def _create(client: MilvusClient, config: RagConfig, identity: ModelIdentity, uid: str, hybrid: bool) -> None:
    """The fields and indexes that `MilvusVectorStore` itself would make, in a collection that says its model.

    It says so from its creation on, and twice: a server forgets properties that were altered later, Milvus Lite keeps
    no description.
    """
    if len(config.collection) > MAX_NAME:
        raise ConfigError(f"collection name {config.collection!r:.80} has over {MAX_NAME} letters")
    properties = written_properties(identity, uid)
    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=True, description=json.dumps(properties, ensure_ascii=False)
    )
    schema.add_field("id", DataType.VARCHAR, max_length=_TEXT, is_primary=True)
    schema.add_field("doc_id", DataType.VARCHAR, max_length=_TEXT)
    schema.add_field("text", DataType.VARCHAR, max_length=_TEXT)
    index = client.prepare_index_params()
    # Exact search in Lite; servers choose (Zilliz Cloud takes nothing else).
    kind = "FLAT" if config.is_lite else "AUTOINDEX"
    index.add_index("embedding", index_name="embedding", index_type=kind, metric_type=METRIC)
    if hybrid:
        function = bm25.bm25_function()
        schema.add_field(bm25.FIELD, DataType.VARCHAR, max_length=_TEXT, **function.get_field_kwargs())
        schema.add_field("sparse_embedding", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(function)
        index.add_index(
            "sparse_embedding",
            index_name="sparse_embedding",
            index_type="SPARSE_INVERTED_INDEX",
            metric_type="BM25",
        )
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=identity.dimension)
    client.create_collection(
        config.collection, schema=schema, index_params=index, consistency_level="Strong", properties=properties
    )


def _adopt(
    client: MilvusClient, config: RagConfig, found: CollectionInfo, identity: ModelIdentity, rows: RowLikeness
) -> None:
    """Record `identity` as the collection's model, if the vectors of some rows are those that it gives."""
    here = f"collection {config.collection!r} cannot be adopted"
    if found.dimension != identity.dimension:
        raise ConfigError(
            f"{here}: it holds vectors of {found.dimension} dimensions, {identity} has {identity.dimension}; see "
            "--embed-model and --dimensions"
        )
    if identity.embed is None:
        raise ConfigError(f"{here}: {identity} cannot be asked for vectors; take the identity that load_models gives")
    alike = rows(identity.embed)
    if alike is not None and alike < SAME:
        raise ConfigError(
            f"{here}: its vectors are not those of {identity} (cosine {alike:.3f} for the same passage); give the "
            "model that filled it with --embed-model, or rebuild it with --overwrite"
        )
    open_catalog(client, config.collection, found.uid, write_identity(identity.probed()))


def _attach(config: RagConfig, dimension: int, hybrid: bool, uid: str) -> RagVectorStore:
    keyword: dict[str, Any] = {}
    if hybrid:
        keyword = {
            "enable_sparse": True,
            "sparse_embedding_function": bm25.bm25_function(),
            "scalar_field_names": [bm25.FIELD],
            "scalar_field_types": [DataType.VARCHAR],
        }
    store = RagVectorStore(
        **client_options(config),
        collection_name=config.collection,
        dim=dimension,
        similarity_metric=METRIC,
        consistency_level="Strong",
        # An upsert makes a repeated write harmless: node ids are made from the content.
        upsert_mode=True,
        **keyword,
    )
    store.uid = uid
    return store


def _missing(client: MilvusClient, config: RagConfig) -> str:
    try:
        there = ", ".join(sorted(name for name in client.list_collections() if not is_catalog(name))) or "none"
    except MilvusException:
        there = "unknown"
    return (
        f"no collection {config.collection!r} in {config.uri} (there: {there}); "
        "fill it with `qwen3-rag ingest PATH`, or give --collection"
    )
