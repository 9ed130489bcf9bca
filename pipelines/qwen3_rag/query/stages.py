"""Two-stage retrieval, the one place where it happens: candidates from an index, then a reranker's choice of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from qwen3_inference import use_instruction

from qwen3_rag.config import MAX_TOP_K
from qwen3_rag.errors import ConfigError
from qwen3_rag.query.filters import Filters, make_filters
from qwen3_rag.query.results import as_result
from qwen3_rag.query.rows import SearchResult, short_id

Mode = Literal["dense", "hybrid"]


class Wishes(TypedDict, total=False):
    """What one question may ask for; what it does not say is as configured.

    `instruction` is for both stages, the other two for one. `rerank=False` leaves the second stage out; of what it
    keeps, `score_threshold` drops passages below that probability. `exclude` names passages, by their ids or short ids,
    that are to be left out: the first stage finds as many others as without it.
    """

    top_k: int | None
    top_n: int | None
    mode: Mode | None
    filters: Filters
    instruction: str | None
    query_instruction: str | None
    rerank_instruction: str | None
    rerank: bool
    score_threshold: float | None
    exclude: Collection[str] | None


@dataclass(frozen=True)
class Found:
    """Both stages for one question. `kept` is None without a second stage; `best` are the last stage's nodes."""

    query: str
    mode: Mode
    candidates: list[NodeWithScore]
    kept: list[NodeWithScore] | None
    best: list[NodeWithScore]

    def to_result(self) -> SearchResult:
        """The same as rows."""
        return as_result(self.query, self.candidates, self.kept, self.mode)


@dataclass(frozen=True)
class TwoStages:
    """Both stages over any LlamaIndex index, to be used from any number of threads and tasks.

    >>> TwoStages(index, Qwen3Rerank("tiny")).run("How is data stored?", top_n=1).best[0].text
    'In segments on object storage.'
    """

    index: VectorStoreIndex
    reranker: BaseNodePostprocessor | None = None
    top_k: int = 10
    top_n: int = 3
    mode: Mode = "dense"

    def run(self, question: str, **wishes: Unpack[Wishes]) -> Found:
        """Candidates and the choice of them.

        Raises:
            ConfigError: the question is empty or too long for a model, or a wish is out of its bounds.
        """
        return self._prepare(question, **wishes).run()

    async def arun(self, question: str, **wishes: Unpack[Wishes]) -> Found:
        """The same, awaited."""
        return await self._prepare(question, **wishes).arun()

    def candidates(self, questions: Sequence[str], **wishes: Unpack[Wishes]) -> list[list[NodeWithScore]]:
        """The first stage for many questions, which are embedded together."""
        rounds = [self._prepare(question, **wishes) for question in questions]
        vectors = self.vectors(questions, **wishes)
        return [one.find(vector) for one, vector in zip(rounds, vectors, strict=True)]

    def choices(
        self, questions: Sequence[str], candidates: Sequence[list[NodeWithScore]], **wishes: Unpack[Wishes]
    ) -> list[list[NodeWithScore]]:
        """The second stage for many questions and candidates of theirs, scored together; needs a reranker."""
        rounds = [self._prepare(question, **wishes) for question in questions]
        many = getattr(rounds[0].reranker, "postprocess_many", None) if rounds else None
        if many is None:
            return [one.choose(nodes) or [] for one, nodes in zip(rounds, candidates, strict=True)]
        for one in rounds:
            one.check()
        with rounds[0].asking():
            kept: list[list[NodeWithScore]] = many(candidates, list(questions))
            return kept

    def vectors(self, questions: Sequence[str], **wishes: Unpack[Wishes]) -> list[list[float]]:
        """The questions' vectors, computed together where the model can."""
        rounds = [self._prepare(question, **wishes) for question in questions]
        for one in rounds:
            one.check()
        if not rounds:
            return []
        model = self.index._embed_model  # LlamaIndex has no public name for it
        together = getattr(model, "get_query_embedding_batch", None)
        with rounds[0].asking():
            if together is None:
                return [model.get_query_embedding(question) for question in questions]
            vectors: list[list[float]] = together(questions)
            return vectors

    def _prepare(
        self,
        question: str,
        *,
        top_k: int | None = None,
        top_n: int | None = None,
        mode: Mode | None = None,
        filters: Filters = None,
        instruction: str | None = None,
        query_instruction: str | None = None,
        rerank_instruction: str | None = None,
        rerank: bool = True,
        score_threshold: float | None = None,
        exclude: Collection[str] | None = None,
    ) -> _Round:
        wanted = _within("top_n", self.top_n if top_n is None else top_n)
        candidates = _within("top_k", self.top_k if top_k is None else top_k)
        candidates = max(candidates, wanted)  # the second stage can only keep what the first one finds
        excluded = frozenset([exclude] if isinstance(exclude, str) else exclude or ())
        mode = mode or self.mode
        retriever = self.index.as_retriever(
            similarity_top_k=_within("top_k + exclude", candidates + len(excluded)),
            vector_store_query_mode=query_mode(mode),
            filters=make_filters(filters),
        )
        reranker = self.reranker if rerank else None
        if reranker is not None and "top_n" in type(reranker).model_fields:
            reranker = reranker.model_copy(update={"top_n": wanted})  # shares the loaded weights
        threshold = _probability(score_threshold, reranker)
        instructions = (instruction, query_instruction, rerank_instruction)
        return _Round(question, retriever, reranker, mode, wanted, *instructions, threshold, candidates, excluded)


@dataclass(frozen=True)
class _Round:
    """One question on its way through both stages. The two bodies differ in what they wait for."""

    question: str
    retriever: BaseRetriever
    reranker: BaseNodePostprocessor | None
    mode: Mode
    top_n: int | None = None
    instruction: str | None = None
    query_instruction: str | None = None
    rerank_instruction: str | None = None
    threshold: float | None = None
    top_k: int | None = None
    excluded: frozenset[str] = frozenset()

    def run(self) -> Found:
        candidates = self.find()
        return self.found(candidates, self.choose(candidates))

    async def arun(self) -> Found:
        bundle, reranker = QueryBundle(self.question), self.reranker
        with self.asking():
            candidates = self.wanted(await self.retriever.aretrieve(bundle))
            kept = None if reranker is None else await reranker.apostprocess_nodes(candidates, query_bundle=bundle)
        return self.found(candidates, kept)

    def find(self, vector: list[float] | None = None) -> list[NodeWithScore]:
        """The first stage. `vector`: the question's, where it is known."""
        with self.asking():
            return self.wanted(self.retriever.retrieve(QueryBundle(self.question, embedding=vector)))

    def wanted(self, found: list[NodeWithScore]) -> list[NodeWithScore]:
        """The first `top_k` of what was found that are not excluded; as many more were asked for."""
        if not self.excluded:
            return found
        return [hit for hit in found if self.excluded.isdisjoint((hit.node_id, short_id(hit.node_id)))][: self.top_k]

    def choose(self, candidates: list[NodeWithScore]) -> list[NodeWithScore] | None:
        """The second stage, None where there is none."""
        if self.reranker is None:
            return None
        with self.asking():
            return self.reranker.postprocess_nodes(candidates, query_bundle=QueryBundle(self.question))

    def check(self) -> None:
        if not self.question.strip():
            raise ConfigError("the question is empty; give one of at least one word")

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around the models' work: with this question's instructions, and their errors as ours."""
        self.check()
        try:
            with use_instruction(self.instruction, query=self.query_instruction, rerank=self.rerank_instruction):
                yield
        except ValueError as error:  # what the models say to a question they cannot take
            raise ConfigError(str(error)) from error

    def found(self, candidates: list[NodeWithScore], kept: list[NodeWithScore] | None) -> Found:
        if kept is not None and self.threshold is not None:
            kept = [hit for hit in kept if (hit.score or 0.0) >= self.threshold]
        best = (candidates if kept is None else kept)[: self.top_n]
        return Found(self.question, self.mode, candidates, kept, best)


def search(question: str, retriever: BaseRetriever, rerank: BaseNodePostprocessor | None) -> SearchResult:
    """Run a retriever and a reranker of your own making and keep both lists.

    >>> result = search("How is data stored?", retriever, models.rerank)
    >>> result.reranked[0].text.splitlines()[0]
    '#### Where does Milvus store data?'
    """
    # LlamaIndex' retrievers have no public name for their mode.
    hybrid = getattr(retriever, "_vector_store_query_mode", None) is VectorStoreQueryMode.HYBRID
    return _Round(question, retriever, rerank, "hybrid" if hybrid else "dense").run().to_result()


def query_mode(mode: Mode) -> VectorStoreQueryMode:
    """LlamaIndex' name for a mode of the first stage."""
    return VectorStoreQueryMode.HYBRID if mode == "hybrid" else VectorStoreQueryMode.DEFAULT


def _within(name: str, value: int) -> int:
    if not 1 <= value <= MAX_TOP_K:
        raise ConfigError(f"{name}={value} must be from 1 to {MAX_TOP_K}, Milvus' own bound; give one of these")
    return value


def _probability(threshold: float | None, reranker: BaseNodePostprocessor | None) -> float | None:
    if threshold is None:
        return None
    if not 0 <= threshold <= 1:
        raise ConfigError(f"score_threshold={threshold} must be a probability from 0 to 1; give one of these")
    if reranker is None:
        raise ConfigError(
            f"score_threshold={threshold} is a probability of the second stage, which is left out; name a reranker "
            "with --rerank-model, or give no threshold"
        )
    return threshold
