"""`Qwen3Rerank`: LlamaIndex's postprocessor interface on a Qwen3 reranking engine. No tensor code here."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import numpy as np
from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_validator
from llama_index.core.callbacks import CallbackManager
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.postprocessor.qwen3_rerank.inputs import Question, document_question, embedded_text, node_question
from llama_index.postprocessor.qwen3_rerank.reporting import reported, traced, traced_as
from qwen3_inference import NumericalError, RerankEngine, TorchRerankEngine
from qwen3_inference.engines import Scores, check_picklable, engine_identity, engine_name
from qwen3_inference.instructions import current_rerank_instruction
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH
from qwen3_inference.local.options import (
    Device,
    DType,
    Folder,
    Instruction,
    LocalOptions,
    ModelName,
    local_settings,
    ready,
)
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS, check_positive
from qwen3_inference.prompts import check_instruction

DEFAULT_MODEL = "Qwen/Qwen3-Reranker-0.6B"
RETRIEVAL_SCORE = "retrieval_score"


class RankedDocument(NamedTuple):
    """A document as `Qwen3Rerank.rank` returns it: its place among the documents given, the probability of "yes"."""

    index: int  # type: ignore[assignment]  # the tuple's method of that name gives way
    score: float
    text: str


class Qwen3Rerank(LocalOptions, BaseNodePostprocessor):
    """Reranks nodes with Qwen3-Reranker: the score is the probability of "yes", the best `top_n` are returned.

    What comes back are new `NodeWithScore` objects, best first, equal scores in their given order; the caller's nodes
    and metadata are never changed. A node is judged by its text with its metadata as embedded (`MetadataMode.EMBED`),
    as `node_text` says; one without text (an image node without a caption) is judged as an empty document. Duplicates
    stay, and count towards `top_n`; fewer nodes than `top_n` all come back. `rank` takes plain strings. A process that
    forks after use may go on using it.

    Raises:
        ValueError: an option is out of its bounds, there is no query, or what is judged is no node.

    >>> from llama_index.core.schema import NodeWithScore, TextNode
    >>> from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
    >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in ["Tyres need air.", "Bread is baked from dough."]]
    >>> best = Qwen3Rerank("tiny", top_n=1).postprocess_nodes(nodes, query_str="How is bread baked?")
    >>> best[0].text
    'Bread is baked from dough.'
    """

    model: ModelName = Field(
        default=DEFAULT_MODEL,
        description="hub name, local folder, or 'tiny' (a small bundled model, for trying out and for tests).",
    )
    top_n: int = Field(default=3, description="how many nodes to keep.")
    instruction: Instruction = Field(
        default=None,
        description="what a relevant document is, in one English sentence. None: the authors' default. "
        "`use_instruction` overrides it for one call.",
    )
    score_threshold: float | None = Field(
        default=None,
        description="drop nodes scored below it (0 to 1). The probability is not calibrated: choose it on own data.",
    )
    keep_retrieval_score: bool = Field(
        default=False,
        description="put the score a node came with into its metadata as 'retrieval_score', excluded from the texts "
        "that embedders and LLMs see.",
    )
    engine: Annotated[Any, ready(RerankEngine)] = Field(
        default=None, exclude=True, description="a ready `RerankEngine` instead of local torch."
    )
    callback_manager: CallbackManager = Field(
        default_factory=lambda: CallbackManager([]), exclude=True, description="LlamaIndex callbacks."
    )

    _local_engine: TorchRerankEngine | None = PrivateAttr(default=None)

    def __init__(
        self,
        model: Folder = DEFAULT_MODEL,
        top_n: int = 3,
        instruction: str | None = None,
        score_threshold: float | None = None,
        keep_retrieval_score: bool = False,
        max_length: int = DEFAULT_MAX_LENGTH,
        device: Device = None,
        dtype: DType = "auto",
        revision: str | None = None,
        cache_folder: Folder | None = None,
        trust_remote_code: bool = False,
        max_batch_tokens: int = DEFAULT_MAX_BATCH_TOKENS,
        engine: RerankEngine | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        if callback_manager is None:
            callback_manager = CallbackManager([])
        if engine is not None and model == DEFAULT_MODEL:
            model = engine_name(engine)
        super().__init__(**{name: value for name, value in dict(locals()).items() if name in type(self).model_fields})
        if engine is None:
            self._engine_in_use()

    @classmethod
    def class_name(cls) -> str:
        return "Qwen3Rerank"

    def __getstate__(self) -> dict[str, Any]:
        check_picklable(self.engine)
        return super().__getstate__()

    @property
    def identity(self) -> str | None:
        """Whose scores these are, revision included; None where an injected engine does not say. Loads no weights."""
        return engine_identity(self._engine_in_use())

    def node_text(self, node: BaseNode) -> str:
        """What is judged of a node; a subclass may choose another text than the one with its metadata as embedded."""
        return embedded_text(node)

    @traced
    def rank(
        self, query: str, documents: Sequence[str], *, top_n: int | None = None, instruction: str | None = None
    ) -> list[RankedDocument]:
        """The documents by their probability of answering the query, best first, equal ones in their given order.

        All of them come back unless `top_n` is given here: `top_n` and `score_threshold` of the object are for nodes.
        `instruction`: what a relevant document is, for this call.

        Raises:
            ValueError: no query, or documents that are no list of strings.

        >>> from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
        >>> ranked = Qwen3Rerank("tiny").rank("How is bread baked?", ["Tyres need air.", "Bread is baked from dough."])
        >>> [(document.index, document.text) for document in ranked]
        [(1, 'Bread is baked from dough.'), (0, 'Tyres need air.')]
        >>> ranked[0].score > 0.5 > ranked[1].score
        True
        """
        return _ranked(self._judge(self._documents(query, documents, top_n, instruction)))

    @traced
    async def arank(
        self, query: str, documents: Sequence[str], *, top_n: int | None = None, instruction: str | None = None
    ) -> list[RankedDocument]:
        """`rank` without blocking the event loop."""
        return _ranked(await self._ajudge(self._documents(query, documents, top_n, instruction)))

    def postprocess_many(
        self, nodes: Sequence[Sequence[NodeWithScore]], queries: Sequence[str]
    ) -> list[list[NodeWithScore]]:
        """`postprocess_nodes` of each query and its own nodes; an engine that has `score_many` gets them together.

        Raises:
            ValueError: as many lists of nodes as queries are not given, or as `postprocess_nodes`.
        """
        if len(nodes) != len(queries):
            raise ValueError(f"{len(nodes)} lists of nodes and {len(queries)} queries; give each query its own nodes")
        asked = [self._nodes(one, QueryBundle(query)) for one, query in zip(nodes, queries, strict=True)]
        together = self._scores_together(asked)
        return [[found for _, found in self._judge(one, scores)] for one, scores in zip(asked, together, strict=True)]

    def _scores_together(self, asked: Sequence[Question]) -> Sequence[Scores | None]:
        """Each question's scores; None where they have to be had one by one."""
        score_many = getattr(self._engine_in_use(), "score_many", None)
        if score_many is None or not asked:
            return [None] * len(asked)
        try:
            texts = [one.texts() for one in asked]
            scores: list[Scores] = score_many([one.query for one in asked], texts, instruction=asked[0].instruction)
        except NumericalError:
            return [None] * len(asked)  # asked one by one, the error names its nodes
        return scores

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return [found for _, found in self._judge(self._nodes(nodes, query_bundle))]

    # Core's own rerankers run the synchronous method in a thread: in traces both ways have its name.
    @traced_as("_postprocess_nodes")
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return [found for _, found in await self._ajudge(self._nodes(nodes, query_bundle))]

    def _nodes(self, nodes: Any, query_bundle: Any) -> Question:
        instruction = current_rerank_instruction(self.instruction)
        return node_question(nodes, query_bundle, instruction, self.top_n, self.score_threshold, self.node_text)

    def _documents(self, query: Any, documents: Any, top_n: int | None, instruction: str | None) -> Question:
        if top_n is not None:
            check_positive("top_n", top_n)
        if check_instruction(instruction) is None:
            instruction = current_rerank_instruction(self.instruction)
        return document_question(query, documents, instruction, top_n)

    def _judge(self, question: Question, scores: Scores | None = None) -> list[tuple[int, NodeWithScore]]:
        """The best of the question's nodes, new, with their place among the given ones. `scores`: known already."""
        with self._judging(question) as (texts, keep):
            if not texts:
                return []
            if scores is not None:
                return keep(scores)
            return keep(self._engine_in_use().score(question.query, texts, instruction=question.instruction))

    async def _ajudge(self, question: Question) -> list[tuple[int, NodeWithScore]]:
        """The same without blocking the event loop."""
        with self._judging(question) as (texts, keep):
            if not texts:
                return []
            return keep(await self._engine_in_use().ascore(question.query, texts, instruction=question.instruction))

    @contextmanager
    def _judging(
        self, question: Question
    ) -> Iterator[tuple[list[str], Callable[[Scores], list[tuple[int, NodeWithScore]]]]]:
        """The texts to be scored, and the function that makes the result of their scores; reported as one rerank."""
        with reported(question, self.model, self.callback_manager) as report, question.naming_nodes():

            def keep(scores: Scores) -> list[tuple[int, NodeWithScore]]:
                best = self._best(question, scores)
                report([found for _, found in best])
                return best

            yield question.texts(), keep

    def _best(self, question: Question, scores: Scores) -> list[tuple[int, NodeWithScore]]:
        """Best first; the sort is stable, so ties keep the order of retrieval."""
        nodes, threshold = question.nodes, question.threshold
        if len(scores) != len(nodes):
            raise ValueError(f"the engine gave {len(scores)} scores for {len(nodes)} documents")
        order = np.argsort(-np.asarray(scores), kind="stable")[: question.top_n].tolist()
        kept = [index for index in order if threshold is None or scores[index] >= threshold]
        return [(i, NodeWithScore(node=self._node(nodes[i]), score=float(scores[i]))) for i in kept]

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
        settings = local_settings(self, self.model, "reranker")
        if self._local_engine is None or self._local_engine.settings != settings:
            self._local_engine = TorchRerankEngine(settings)
        return self._local_engine

    @field_validator("top_n", mode="before")
    @classmethod
    def _check_top_n(cls, value: Any) -> int:
        return check_positive("top_n", value)

    @field_validator("score_threshold", mode="before")
    @classmethod
    def _check_threshold(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, int | float) and 0.0 <= value <= 1.0):
            raise ValueError(f"score_threshold={value!r} must be a probability from 0 to 1, or None")
        return value


def _ranked(best: list[tuple[int, NodeWithScore]]) -> list[RankedDocument]:
    return [RankedDocument(index, found.score or 0.0, found.node.get_content()) for index, found in best]


def _with_key(keys: list[str]) -> list[str]:
    return [*keys, *({RETRIEVAL_SCORE} - set(keys))]
