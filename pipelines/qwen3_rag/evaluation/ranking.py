"""Both stages' rankings of judged questions, several questions at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.schema import MetadataMode, NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.journal import Journal
from qwen3_rag.evaluation.labels import Labels
from qwen3_rag.evaluation.metrics import Run
from qwen3_rag.evaluation.pairs import ScoredPairs
from qwen3_rag.session import Session
from qwen3_rag.store.paging import read_pages

TOGETHER = 16
"""Questions that are embedded and scored together, and lost together when a run is killed."""
SHOWN = 3
_LETTERS = 300


@dataclass(frozen=True)
class Ranked:
    """One question's documents by stage, and the passages that stand first or are relevant.

    `asked` changes with the question and its labels. `reranked`: None without a reranker.
    """

    id: str
    asked: str
    dense: dict[str, float]
    reranked: dict[str, float] | None
    seconds: dict[str, float]
    candidates: int
    passages: dict[str, str]

    @property
    def last(self) -> dict[str, float]:
        return self.dense if self.reranked is None else self.reranked

    @classmethod
    def of(cls, row: dict[str, Any]) -> Ranked:
        """From a line of a runs file."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


OnQuestion = Callable[[Ranked], object]


def rank_all(
    session: Session, labels: Labels, journal: Journal, on_question: OnQuestion | None = None
) -> tuple[list[Ranked], list[str]]:
    """Both stages for every question, in the labels' order, and the reasons why some could not be asked."""
    refused: list[str] = []
    pairs = ScoredPairs(session, journal)
    kept = {question: row for question in labels.queries if (row := journal.get(question))}
    done = {one: Ranked.of(row) for one, row in kept.items() if row.get("asked") == labels.fingerprint(one)}
    for ranked in done.values():
        if on_question:
            on_question(ranked)
    for batch in batches([question for question in labels.queries if question not in done]):
        for ranked in _rank_usable(session, labels, pairs, batch, refused):
            done[ranked.id] = ranked
            journal.add(dict(vars(ranked)))
            if on_question:
                on_question(ranked)
    if not done:
        raise ConfigError(f"no question could be asked: {refused[0]}")
    return [done[question] for question in labels.queries if question in done], refused


def batches(questions: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(questions), TOGETHER):
        yield questions[start : start + TOGETHER]


def by_document(labels: Labels, question: str, hits: Iterable[NodeWithScore]) -> dict[str, float]:
    """Scores by what the labels call a document; one cut into several passages counts with its best one."""
    scores: dict[str, float] = {}
    for hit in hits:
        document = labels.document(question, hit)
        scores[document] = max(hit.score or 0.0, scores.get(document, float("-inf")))
    return scores


def runs_of(ranked: Iterable[Ranked]) -> tuple[Run, Run | None]:
    """First and second stage as runs."""
    ranked = list(ranked)
    reranked = {one.id: one.reranked for one in ranked if one.reranked is not None}
    return {one.id: one.dense for one in ranked}, reranked or None


def settings_of(session: Session) -> dict[str, Any]:
    """What changes a ranking: models, instructions, depths, and the passages in the collection."""
    config = session.config
    return {
        "embedding": str(session.models.identity),
        "reranker": getattr(session.models.rerank, "identity", None) or config.reranker_name,
        "instructions": [config.instruction, config.query_instruction, config.rerank_instruction],
        "top_k": config.top_k,
        "mode": config.mode,
        "collection": config.collection,
        "passages": fingerprint(session),
    }


def fingerprint(session: Session) -> str:
    """Changes with any passage: their ids are made of their content."""
    store = session.store
    ids = sorted(row["id"] for page in read_pages(store.client, store.collection_name, ["id"]) for row in page)
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def _rank_usable(
    session: Session, labels: Labels, pairs: ScoredPairs, batch: Sequence[str], refused: list[str]
) -> list[Ranked]:
    """The batch; where a model refuses it, question by question without those that it refuses."""
    try:
        return _rank(session, labels, pairs, batch)
    except ConfigError as error:
        if len(batch) == 1:
            refused.append(f"question {batch[0]}: {error}")
            return []
    return [ranked for one in batch for ranked in _rank_usable(session, labels, pairs, [one], refused)]


def _rank(session: Session, labels: Labels, pairs: ScoredPairs, batch: Sequence[str]) -> list[Ranked]:
    texts = [labels.queries[question] for question in batch]
    started = time.perf_counter()
    found = session.stages.candidates(texts)
    seconds = {"dense": (time.perf_counter() - started) / len(batch)}
    kept: Sequence[list[NodeWithScore] | None] = [None] * len(batch)
    if pairs.has_reranker:
        started = time.perf_counter()
        kept = pairs.rerank(list(zip(batch, texts, strict=True)), found)
        seconds["rerank"] = (time.perf_counter() - started) / len(batch)
    return [
        Ranked(
            id=question,
            asked=labels.fingerprint(question),
            dense=by_document(labels, question, first),
            reranked=None if second is None else by_document(labels, question, second),
            seconds=seconds,
            candidates=len(first),
            passages=_shown(labels, question, first, second or []),
        )
        for question, first, second in zip(batch, found, kept, strict=True)
    ]


def _shown(labels: Labels, question: str, *lists: list[NodeWithScore]) -> dict[str, str]:
    """The beginnings of the passages that a report shows: each list's first ones, and the relevant ones."""
    shown: dict[str, str] = {}
    for hits in lists:
        for place, hit in enumerate(hits):
            document = labels.document(question, hit)
            if place < SHOWN or labels.qrels[question].get(document, 0) > 0:
                shown.setdefault(document, hit.node.get_content(metadata_mode=MetadataMode.NONE)[:_LETTERS])
    return shown
