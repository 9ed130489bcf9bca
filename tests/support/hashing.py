"""A real embedding model without weights: words hashed to signed coordinates. Fast, deterministic, and it counts."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from qwen3_rag.identity import ModelIdentity

DIMENSION = 64
IDENTITY = ModelIdentity("hashing", "1", DIMENSION)


class HashingEmbedding(BaseEmbedding):
    """Texts that share words get similar vectors. `embedded` lists the documents embedded so far."""

    embed_batch_size: int = 2048
    dimension: int = DIMENSION
    _embedded: list[str] = PrivateAttr(default_factory=list)

    def __init__(self, dimension: int = DIMENSION, **kwargs: Any) -> None:
        super().__init__(model_name="hashing", dimension=dimension, **{"embed_batch_size": 2048, **kwargs})

    @property
    def embedded(self) -> list[str]:
        return self._embedded

    def _vector(self, text: str) -> list[float]:
        vector = np.zeros(self.dimension)
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
            vector[int.from_bytes(digest[:4], "big") % self.dimension] += 1 if digest[4] % 2 else -1
        norm = float(np.linalg.norm(vector))
        if norm == 0:
            vector[0] = norm = 1.0
        return [float(value) for value in vector / norm]

    def _get_text_embedding(self, text: str) -> list[float]:
        self._embedded.append(text)
        return self._vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._vector(query)
