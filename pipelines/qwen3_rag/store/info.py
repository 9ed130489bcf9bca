"""What `qwen3-rag info` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from qwen3_rag.config import RagConfig
from qwen3_rag.store.collection import describe
from qwen3_rag.store.connect import client_for, release_lite


def shown_settings(config: RagConfig) -> dict[str, Any]:
    """Every setting in effect; of secrets only whether they are set."""
    shown: dict[str, Any] = {}
    for name, value in config:
        shown[name] = ("set" if value.get_secret_value() else None) if isinstance(value, SecretStr) else value
    return shown


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
