"""An embedding cache on any LlamaIndex key-value store, with everything that changes a vector in its key.

Core's own cache is keyed by the text alone: the same text as a query and as a document collide there, and so do two
models, dimensions or instructions.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.storage.kvstore.types import BaseKVStore

COLLECTION = "qwen3_embeddings"


def cache_key(text: str, identity: dict[str, Any]) -> str:
    """`identity` holds role, model, revision, dimensions, instruction: any difference gives another key."""
    return sha256(json.dumps([text, identity], sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def embed_with_cache(
    texts: Sequence[str],
    identity: dict[str, Any],
    store: BaseKVStore | None,
    embed: Callable[[list[str]], list[Embedding]],
) -> list[Embedding]:
    """Vectors from the store where it has them, the rest from one call of `embed`, in order."""
    if store is None:
        return embed(list(texts))
    keys = [cache_key(text, identity) for text in texts]
    found = {key: value for key in dict.fromkeys(keys) if (value := _vector(store.get(key, COLLECTION))) is not None}
    missing = _missing(texts, keys, found)
    if missing:
        for key, vector in zip(missing, embed(list(missing.values())), strict=True):
            found[key] = vector
            store.put(key, {"embedding": list(vector)}, COLLECTION)
    return [list(found[key]) for key in keys]


async def aembed_with_cache(
    texts: Sequence[str],
    identity: dict[str, Any],
    store: BaseKVStore | None,
    embed: Callable[[list[str]], Awaitable[list[Embedding]]],
) -> list[Embedding]:
    """The same with the store's asynchronous methods."""
    if store is None:
        return await embed(list(texts))
    keys = [cache_key(text, identity) for text in texts]
    found: dict[str, Embedding] = {}
    for key in dict.fromkeys(keys):
        if (value := _vector(await store.aget(key, COLLECTION))) is not None:
            found[key] = value
    missing = _missing(texts, keys, found)
    if missing:
        for key, vector in zip(missing, await embed(list(missing.values())), strict=True):
            found[key] = vector
            await store.aput(key, {"embedding": list(vector)}, COLLECTION)
    return [list(found[key]) for key in keys]


def _missing(texts: Sequence[str], keys: Sequence[str], found: dict[str, Embedding]) -> dict[str, str]:
    """Each missing text once, in order."""
    return {key: text for key, text in zip(keys, texts, strict=True) if key not in found}


def _vector(entry: dict[str, Any] | None) -> Embedding | None:
    # A copy: in-memory stores hand out what they hold, and a caller may change the vector it gets.
    return None if entry is None else list(entry["embedding"])
