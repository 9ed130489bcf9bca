"""An embedding cache on any LlamaIndex key-value store, with everything that changes a vector in its key.

Core's own cache is keyed by the text alone: the same text as a query and as a document collide there, and so do two
models, dimensions or instructions.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.embeddings.qwen3.request import Request

COLLECTION = "qwen3_embeddings"


def cache_key(text: str, identity: dict[str, Any]) -> str:
    """`identity` holds role, instruction, dimensions and whose vectors these are: any difference gives another key."""
    return sha256(json.dumps([text, identity], sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def embed_with_cache(
    request: Request,
    identify: Callable[[Request], dict[str, Any]],
    store: BaseKVStore | None,
    embed: Callable[[Request], list[Embedding]],
) -> list[Embedding]:
    """Vectors from the store where it has them, the rest from one call of `embed`, in order."""
    if store is None:
        return embed(request)
    identity = identify(request)
    keys = [cache_key(text, identity) for text in request.texts]
    found = {key: value for key in dict.fromkeys(keys) if (value := _vector(store.get(key, COLLECTION))) is not None}
    missing = _missing(keys, found)
    if missing:
        for index, vector in zip(missing, embed(request.only(missing)), strict=True):
            found[keys[index]] = vector
            store.put(keys[index], {"embedding": list(vector)}, COLLECTION)
    return [list(found[key]) for key in keys]


async def aembed_with_cache(
    request: Request,
    identify: Callable[[Request], dict[str, Any]],
    store: BaseKVStore | None,
    embed: Callable[[Request], Awaitable[list[Embedding]]],
) -> list[Embedding]:
    """The same with the store's asynchronous methods."""
    if store is None:
        return await embed(request)
    identity = await asyncio.to_thread(identify, request)  # reads files, or asks a server
    keys = [cache_key(text, identity) for text in request.texts]
    found: dict[str, Embedding] = {}
    for key in dict.fromkeys(keys):
        if (value := _vector(await store.aget(key, COLLECTION))) is not None:
            found[key] = value
    missing = _missing(keys, found)
    if missing:
        for index, vector in zip(missing, await embed(request.only(missing)), strict=True):
            found[keys[index]] = vector
            await store.aput(keys[index], {"embedding": list(vector)}, COLLECTION)
    return [list(found[key]) for key in keys]


def _missing(keys: Sequence[str], found: dict[str, Embedding]) -> list[int]:
    """Where each missing text stands first."""
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    return [index for key, index in first.items() if key not in found]


def _vector(entry: dict[str, Any] | None) -> Embedding | None:
    # A copy: in-memory stores hand out what they hold, and a caller may change the vector it gets.
    return None if entry is None else list(entry["embedding"])
