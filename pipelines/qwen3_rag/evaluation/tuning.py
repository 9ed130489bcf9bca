"""Which instruction works best on judged questions: chosen on one half of them, confirmed once on the other.

Documents carry no instruction, so none is embedded again: a candidate costs one embedding a question in the first
stage, one score a pair in the second. Both are kept in the journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from llama_index.core.schema import NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.journal import Journal
from qwen3_rag.evaluation.labels import Labels
from qwen3_rag.evaluation.metrics import METRICS, Run, by_question
from qwen3_rag.evaluation.pairs import ScoredPairs
from qwen3_rag.evaluation.ranking import batches, by_document
from qwen3_rag.evaluation.significance import SEED, Difference, Numbers, compare
from qwen3_rag.session import Session

METRIC = METRICS[0]
LEAST = 4
"""Judged questions without which there is nothing to divide."""
SMALLEST_ROUND = 10
OnRound = Callable[[str], object]
Stage = Literal["query", "rerank"]


class Scorer(Protocol):
    """A stage as a function: the metric of each question with an instruction, None for the configured one."""

    def __call__(self, questions: Sequence[str], instruction: str | None) -> Numbers: ...


@dataclass(frozen=True)
class Tuned:
    """The candidate that won on the training half, against the configured instruction on the held-out half.

    `default`: None is the model's own.
    """

    stage: Stage
    instruction: str
    default: str | None
    held_out: int
    difference: Difference

    @property
    def is_better(self) -> bool:
        return self.difference.is_better

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "instruction": self.instruction,
            "default": self.default,
            "held_out": self.held_out,
            "seed": SEED,
            "difference": {METRIC: self.difference.to_json()},
            "verdict": "better" if self.is_better else "no difference shown",
        }

    @property
    def evidence(self) -> str:
        """One line.

        >>> Tuned("query", "New", None, 120, Difference(0.031, 0.008, 0.055, 0.006, 50, 50, 20)).evidence
        '+0.0310 ndcg@10 [+0.0080, +0.0550], p = 0.006, 120 held-out questions'
        """
        one = self.difference
        interval = f"[{one.low:+.4f}, {one.high:+.4f}]"
        return f"{one.mean:+.4f} {METRIC} {interval}, p = {one.p:.3g}, {self.held_out} held-out questions"


class QueryStage:
    """The first stage alone."""

    def __init__(self, session: Session, labels: Labels, journal: Journal) -> None:
        self._session, self._labels, self._journal = session, labels, journal

    def __call__(self, questions: Sequence[str], instruction: str | None) -> Numbers:
        labels, run = self._labels, Run()
        for question in questions:
            row = self._journal.get(question, "query", instruction)
            if row and row["asked"] == labels.fingerprint(question):
                run[question] = row["run"]
        for batch in batches([question for question in questions if question not in run]):
            texts = [labels.queries[question] for question in batch]
            found = self._session.stages.candidates(texts, query_instruction=instruction)
            for question, hits in zip(batch, found, strict=True):
                run[question] = by_document(labels, question, hits)
                key = {"id": question, "kind": "query", "instruction": instruction}
                self._journal.add({**key, "asked": labels.fingerprint(question), "run": run[question]})
        return by_question({question: labels.qrels[question] for question in questions}, run, [METRIC])[METRIC]


class RerankStage:
    """The second stage on the configured first stage's candidates."""

    def __init__(self, session: Session, labels: Labels, journal: Journal) -> None:
        self._session, self._labels = session, labels
        self._pairs = ScoredPairs(session, journal)
        self._candidates: dict[str, list[NodeWithScore]] = {}
        if not self._pairs.has_reranker:
            raise ConfigError("there is no second stage to tune: --rerank-model is none; give --stage query")

    def __call__(self, questions: Sequence[str], instruction: str | None) -> Numbers:
        labels, run = self._labels, Run()
        for batch in batches(questions):
            asked = [(question, labels.queries[question]) for question in batch]
            new = [one for one in asked if one[0] not in self._candidates]
            found = self._session.stages.candidates([text for _, text in new])
            self._candidates |= zip((question for question, _ in new), found, strict=True)
            best = self._pairs.rerank(asked, [self._candidates[question] for question in batch], instruction)
            run |= {question: by_document(labels, question, hits) for question, hits in zip(batch, best, strict=True)}
        return by_question({question: labels.qrels[question] for question in questions}, run, [METRIC])[METRIC]


def divide(labels: Labels) -> tuple[list[str], list[str]]:
    """Training and held-out questions: the same halves whenever the questions are the same.

    Raises:
        ConfigError: there are too few.
    """
    if len(labels.queries) < LEAST:
        raise ConfigError(f"{len(labels.queries)} judged questions cannot be divided; label at least {LEAST}")
    shuffled = [str(one) for one in np.random.default_rng(SEED).permutation(sorted(labels.queries))]
    half = len(shuffled) // 2
    return shuffled[:half], shuffled[half:]


def tune(
    stage: Stage,
    value: Scorer,
    candidates: Sequence[str],
    labels: Labels,
    default: str | None = None,
    on_round: OnRound | None = None,
) -> Tuned:
    """Successive halving on the training half, then one paired test of the winner on the held-out half."""
    training, held_out = divide(labels)
    winner = halve(value, candidates, training, on_round)
    if on_round:
        on_round(f"{stage}: {winner!r} against the default on {len(held_out)} held-out questions")
    difference = compare(value(held_out, winner), value(held_out, None))
    return Tuned(stage, winner, default, len(held_out), difference)


def halve(value: Scorer, candidates: Sequence[str], questions: Sequence[str], on_round: OnRound | None = None) -> str:
    """The candidate that is left when the worse half is dropped, again and again, on ever more questions.

    The last two meet on all of them. Of equal ones the first stays.
    """
    left = list(candidates)
    while len(left) > 1:
        rounds = math.ceil(math.log2(len(left)))
        asked = questions[: max(SMALLEST_ROUND, math.ceil(len(questions) / 2 ** (rounds - 1)))]
        means = {}
        for number, candidate in enumerate(left, 1):
            if on_round:
                on_round(f"{number} of {len(left)} candidates on {len(asked)} questions")
            means[candidate] = value(asked, candidate).mean()
        left = sorted(left, key=lambda candidate: -means[candidate])[: (len(left) + 1) // 2]
    return left[0]
