"""`Qwen3Rerank`: LlamaIndex's postprocessor interface on a Qwen3 reranking engine. No tensor code here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from qwen3_inference import LocalSettings, NumericalError, RerankEngine, TorchRerankEngine
from qwen3_inference.engines import Scores, check_picklable
from qwen3_inference.instructions import current_rerank_instruction
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS, check_positive
from qwen3_inference.prompts import check_instruction

dispatcher = get_dispatcher(__name__)

DEFAULT_MODEL = "Qwen/Qwen3-Reranker-0.6B"
RETRIEVAL_SCORE = "retrieval_score"


class Qwen3Rerank(BaseNodePostprocessor):
    """Reranks nodes with Qwen3-Reranker: the score is the probability of "yes", the best `top_n` are returned.

    What comes back are new `NodeWithScore` objects, best first, equal scores in their given order; the caller's nodes
    and metadata are never changed. A node is judged by its text with its metadata as embedded (`MetadataMode.EMBED`);
    one without text (an image node without a caption) is judged as an empty document. Duplicates stay, and count
    towards `top_n`; fewer nodes than `top_n` all come back.

    Args:
        model: hub name, local folder, or "tiny" (a small bundled model, for trying out and for tests).
        top_n: how many nodes to keep.
        instruction: what a relevant document is, in one English sentence. None: the authors' default.
            `use_instruction` overrides it for one call.
        score_threshold: drop nodes scored below it (0 to 1). The probability is not calibrated: choose it on own data.
        keep_retrieval_score: put the score a node came with into its metadata as "retrieval_score", excluded from the
            texts that embedders and LLMs see.
        max_length: tokens of prompt, query and document together. Documents are cut with a warning; a query that
            leaves no room is an error.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best one.
        dtype: "auto" (bfloat16 where the hardware has it, else float32), "float32", "bfloat16", "float16".
        revision: hub revision.
        cache_folder: where hub downloads are kept; None: the hub's own cache.
        trust_remote_code: run code from the model's repository; Qwen3 needs none.
        max_batch_tokens: tokens computed at once; lower it for less memory.
        engine: a ready `RerankEngine` instead of local torch.
        callback_manager: LlamaIndex callbacks.

    Raises:
        ValueError: a setting is out of its bounds.

    >>> from llama_index.core.schema import NodeWithScore, TextNode
    >>> from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
    >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in ["Tyres need air.", "Bread is baked from dough."]]
    >>> best = Qwen3Rerank("tiny", top_n=1).postprocess_nodes(nodes, query_str="How is bread baked?")
    >>> best[0].text
    'Bread is baked from dough.'
    """

    model: str = Field(default=DEFAULT_MODEL, description="Hub name, local folder or 'tiny'.")
    top_n: int = Field(default=3, description="How many nodes to keep.")
    instruction: str | None = Field(default=None, description="What a relevant document is; None: the default.")
    score_threshold: float | None = Field(default=None, description="Drop nodes scored below it.")
    keep_retrieval_score: bool = Field(default=False, description="Keep the first score in the metadata.")
    max_length: int = Field(default=DEFAULT_MAX_LENGTH, description="Tokens of prompt, query and document.")
    device: str | None = Field(default=None, description="Torch device; None: the best one.")
    dtype: str = Field(default="auto", description="auto, float32, bfloat16 or float16.")
    revision: str | None = Field(default=None, description="Hub revision.")
    cache_folder: str | None = Field(default=None, description="Folder of hub downloads.")
    trust_remote_code: bool = Field(default=False, description="Run code from the model's repository.")
    max_batch_tokens: int = Field(default=DEFAULT_MAX_BATCH_TOKENS, description="Tokens computed at once.")
    engine: Any = Field(default=None, exclude=True, description="A ready engine instead of local torch.")

    _local_engine: TorchRerankEngine | None = PrivateAttr(default=None)

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        top_n: int = 3,
        instruction: str | None = None,
        score_threshold: float | None = None,
        keep_retrieval_score: bool = False,
        max_length: int = DEFAULT_MAX_LENGTH,
        device: str | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        max_batch_tokens: int = DEFAULT_MAX_BATCH_TOKENS,
        engine: RerankEngine | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        check_instruction(instruction)
        check_positive("top_n", top_n)
        _check_probability("score_threshold", score_threshold)
        if engine is not None and not isinstance(engine, RerankEngine):
            raise ValueError(f"engine={engine!r} must have the methods of qwen3_inference.RerankEngine")
        if engine is not None and model == DEFAULT_MODEL:
            model = getattr(engine, "model_name", type(engine).__name__)
        fields: dict[str, Any] = {
            "model": model,
            "top_n": top_n,
            "instruction": instruction,
            "score_threshold": score_threshold,
            "keep_retrieval_score": keep_retrieval_score,
            "max_length": max_length,
            "device": device,
            "dtype": dtype,
            "revision": revision,
            "cache_folder": cache_folder,
            "trust_remote_code": trust_remote_code,
            "max_batch_tokens": max_batch_tokens,
            "engine": engine,
            "callback_manager": callback_manager or CallbackManager([]),
        }
        super().__init__(**fields)
        if engine is None:
            self._engine_in_use()

    @classmethod
    def class_name(cls) -> str:
        return "Qwen3Rerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query(query_bundle)
        instruction = current_rerank_instruction(self.instruction)
        with self._reported(nodes, query) as finish:
            scores = np.zeros(0)
            if nodes:
                with _naming_nodes(nodes):
                    scores = self._engine_in_use().score(query, _texts(nodes), instruction=instruction)
            return finish(self._best(nodes, scores))

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = _query(query_bundle)
        instruction = current_rerank_instruction(self.instruction)
        with self._reported(nodes, query) as finish:
            scores = np.zeros(0)
            if nodes:
                with _naming_nodes(nodes):
                    scores = await self._engine_in_use().ascore(query, _texts(nodes), instruction=instruction)
            return finish(self._best(nodes, scores))

    def __getstate__(self) -> dict[str, Any]:
        check_picklable(self.engine)
        return super().__getstate__()

    @contextmanager
    def _reported(
        self, nodes: list[NodeWithScore], query: str
    ) -> Iterator[Callable[[list[NodeWithScore]], list[NodeWithScore]]]:
        """The events of one call; the end is reported also when the call fails (without nodes; the callback's end then
        carries the exception, which the callback manager adds)."""
        best: list[NodeWithScore] = []

        def finish(result: list[NodeWithScore]) -> list[NodeWithScore]:
            best.extend(result)
            return result

        start = ReRankStartEvent(query=query, nodes=list(nodes), top_n=self.top_n, model_name=self.model)
        payload: dict[str, Any] = {
            EventPayload.NODES: list(nodes),
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: query,
            EventPayload.TOP_K: self.top_n,
        }
        dispatcher.event(start)
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            try:
                yield finish
                event.on_end(payload={EventPayload.NODES: list(best)})
            finally:
                dispatcher.event(ReRankEndEvent(nodes=list(best)))

    def _best(self, nodes: list[NodeWithScore], scores: Scores) -> list[NodeWithScore]:
        """New nodes with their scores, best first; the sort is stable, so ties keep the order of retrieval."""
        order = sorted(range(len(nodes)), key=lambda index: -scores[index])[: self.top_n]
        kept = [i for i in order if self.score_threshold is None or scores[i] >= self.score_threshold]
        return [NodeWithScore(node=self._node(nodes[i]), score=float(scores[i])) for i in kept]

    def _node(self, found: NodeWithScore) -> BaseNode:
        """The caller's node itself, or a copy where its metadata gets the retrieval score."""
        if not self.keep_retrieval_score:
            return found.node
        return found.node.model_copy(
            update={
                "metadata": {**found.node.metadata, RETRIEVAL_SCORE: found.score},
                "excluded_embed_metadata_keys": _with_key(found.node.excluded_embed_metadata_keys),
                "excluded_llm_metadata_keys": _with_key(found.node.excluded_llm_metadata_keys),
            }
        )

    def _engine_in_use(self) -> RerankEngine:
        """The injected engine, or the local one for the present settings (they may change by assignment or copy)."""
        if self.engine is not None:
            injected: RerankEngine = self.engine
            return injected
        settings = LocalSettings(
            model=self.model,
            kind="reranker",
            max_length=self.max_length,
            device=self.device,
            dtype=self.dtype,
            revision=self.revision,
            cache_folder=self.cache_folder,
            trust_remote_code=self.trust_remote_code,
            max_batch_tokens=self.max_batch_tokens,
        )
        if self._local_engine is None or self._local_engine.settings != settings:
            self._local_engine = TorchRerankEngine(settings)
        return self._local_engine


def _query(query_bundle: QueryBundle | None) -> str:
    if query_bundle is None:
        raise ValueError("reranking needs the query: pass query_bundle=QueryBundle(text) or query_str=text")
    if not isinstance(query_bundle.query_str, str):
        raise ValueError(f"the query {query_bundle.query_str!r:.80} must be a string")
    return query_bundle.query_str


def _check_probability(name: str, value: float | None) -> None:
    if value is not None and not (isinstance(value, int | float) and 0.0 <= value <= 1.0):
        raise ValueError(f"{name}={value!r} must be a probability from 0 to 1, or None")


def _texts(nodes: list[NodeWithScore]) -> list[str]:
    return [found.node.get_content(metadata_mode=MetadataMode.EMBED) for found in nodes]


def _with_key(keys: list[str]) -> list[str]:
    return [*keys, *({RETRIEVAL_SCORE} - set(keys))]


@contextmanager
def _naming_nodes(nodes: list[NodeWithScore]) -> Iterator[None]:
    """Say which nodes a numerical error is about: the engine knows positions only."""
    try:
        yield
    except NumericalError as error:
        names = ", ".join(nodes[index].node.node_id for index in error.indices)
        raise NumericalError(f"{error} (nodes: {names})", error.indices) from error
