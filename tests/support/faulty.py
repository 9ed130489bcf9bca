"""Small components, each with one known defect, and sound ones beside them: a suite must be able to fail."""

import hashlib
import threading
import time
from contextlib import nullcontext
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore

dispatcher = get_dispatcher(__name__)


def hashed(text: str) -> Embedding:
    digest = hashlib.sha256(text.encode()).digest()
    return [byte / 255 for byte in digest[:8]]


class CoreDefaults(BaseEmbedding):
    """Only what core declares abstract, as many integrations do: core's own public methods around it."""

    seconds: float = 0.002
    _probe: Any = PrivateAttr(default_factory=nullcontext)

    def _get_query_embedding(self, query: str) -> Embedding:
        with self._probe:
            time.sleep(self.seconds)
            return hashed("query: " + query)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> Embedding:
        with self._probe:
            time.sleep(self.seconds)
            return hashed(text)


class NumpyNumbers(CoreDefaults):
    def _get_text_embedding(self, text: str) -> Embedding:
        return list(np.array(hashed(text)))


class SortedBatch(CoreDefaults):
    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return [hashed(text) for text in sorted(texts, key=len)]


class PaddingDependent(CoreDefaults):
    """Vectors depend on the longest neighbour, as with an unmasked padding."""

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return [[*hashed(text)[:7], texts.index(text) / 10] for text in texts]


class ChangesTheList(CoreDefaults):
    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        vectors = [hashed(text) for text in texts]
        texts.clear()
        return vectors

    def get_text_embedding_batch(self, texts: list[str], **kwargs: Any) -> list[Embedding]:
        return self._get_text_embeddings(texts)


class ForgetsASetting(CoreDefaults):
    """A setting that changes the vector, and is no field."""

    def __init__(self, scale: float = 1.0, **fields: Any) -> None:
        super().__init__(**fields)
        self._scale = scale

    _scale: float = PrivateAttr(default=1.0)

    def _get_query_embedding(self, query: str) -> Embedding:
        return [number * self._scale for number in hashed(query)]


class CarriesWeights(CoreDefaults):
    _weights: Any = PrivateAttr(default_factory=lambda: np.zeros(100_000))


class KeepsALock(CoreDefaults):
    """Cannot be copied."""

    _lock: Any = PrivateAttr(default_factory=threading.Lock)


class ShowsItsKey(CoreDefaults):
    api_key: str = "sk-secret"


class WritesMetadata(CoreDefaults):
    def __call__(self, nodes: Any, **kwargs: Any) -> Any:
        for node in nodes:
            node.metadata["embedded"] = True
        return super().__call__(nodes, **kwargs)


class SoundRerank(BaseNodePostprocessor):
    """Scores by a hash of the text; passes what needs no probe and no thread."""

    def texts(self, nodes: list[NodeWithScore]) -> list[str]:
        return [found.node.get_content(MetadataMode.EMBED) for found in nodes]

    def scored(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        scores = [hashed(query + text)[0] for text in self.texts(nodes)]
        found = [NodeWithScore(node=given.node, score=score) for given, score in zip(nodes, scores, strict=True)]
        return sorted(found, key=lambda one: -one.score)

    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: Any = None) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("no query")
        query = query_bundle.query_str
        dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=9, model_name="hash"))
        result: list[NodeWithScore] = []
        with self.callback_manager.event("reranking"):  # type: ignore[arg-type]
            try:
                result = self.scored(nodes, query)
            finally:
                dispatcher.event(ReRankEndEvent(nodes=result))
        return result


class ChangesTheScores(SoundRerank):
    def scored(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        for given, text in zip(nodes, self.texts(nodes), strict=True):
            given.score = hashed(query + text)[0]
        return sorted(nodes, key=lambda one: -one.score)


class LeaksTheRetrievalScore(SoundRerank):
    def scored(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        found = super().scored(nodes, query)
        copies = [NodeWithScore(node=one.node.model_copy(deep=True), score=one.score) for one in found]
        for one in copies:
            one.node.metadata["retrieval_score"] = 0.5
        return copies


class UnstableTies(SoundRerank):
    def scored(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        return super().scored(nodes[::-1], query)


class PositionDependent(SoundRerank):
    def texts(self, nodes: list[NodeWithScore]) -> list[str]:
        return [f"{index} {text}" for index, text in enumerate(super().texts(nodes))]


class NeedsNoQuery(SoundRerank):
    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: Any = None) -> list[NodeWithScore]:
        return self.scored(nodes, query_bundle.query_str if query_bundle else "")


class StartsWithoutEnd(SoundRerank):
    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: Any = None) -> list[NodeWithScore]:
        query = query_bundle.query_str
        dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=9, model_name="hash"))
        if not nodes:
            return []
        with self.callback_manager.event("reranking"):  # type: ignore[arg-type]
            result = self.scored(nodes, query)
        dispatcher.event(ReRankEndEvent(nodes=result))
        return result


class BlocksTheLoop(SoundRerank):
    def scored(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        time.sleep(0.001 * len(nodes))
        return super().scored(nodes, query)

    async def _apostprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: Any = None) -> list[NodeWithScore]:
        return self._postprocess_nodes(nodes, query_bundle)


class Overlaps(SoundRerank):
    """Core's default `asyncio.to_thread`, without a lock around the model."""

    _probe: Any = PrivateAttr(default_factory=nullcontext)

    def scored(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        with self._probe:
            time.sleep(0.02)
            return super().scored(nodes, query)
