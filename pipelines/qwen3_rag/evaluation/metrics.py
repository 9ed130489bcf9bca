"""Measures of rankings by ir-measures, a value a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Run = dict[str, dict[str, float]]
"""Question id to document id to score."""
Values = dict[str, npt.NDArray[np.float64]]
"""Metric to its value for each question, in the questions' order."""

METRICS = ("ndcg@10", "mrr@10", "recall@50")


def by_question(qrels: Mapping[str, Mapping[str, int]], run: Run, names: Sequence[str] = METRICS) -> Values:
    """Values of `ndcg@K`, `mrr@K`, `recall@K`, `judged@K` for every question of `qrels`; an unanswered one has 0."""
    import ir_measures

    measures = {_measure(name): name for name in names}
    places = {question: place for place, question in enumerate(qrels)}
    values = {name: np.zeros(len(places)) for name in names}
    ranked = {question: _by_place(scores) for question, scores in run.items() if question in places}
    if ranked:  # ir-measures takes no empty run
        for found in ir_measures.iter_calc(list(measures), {one: dict(qrels[one]) for one in qrels}, ranked):
            values[measures[found.measure]][places[found.query_id]] = found.value
    return values


def measure(qrels: Mapping[str, Mapping[str, int]], run: Run) -> dict[str, float]:
    """nDCG@10, MRR@10 and recall@50, averaged over the judged questions."""
    return {name: rounded(found.mean()) for name, found in by_question(qrels, run).items()}


def rounded(value: Any) -> float:
    """As figures stand in JSON."""
    return round(float(value), 6)


def order(scores: Mapping[str, float]) -> list[str]:
    """Documents best first; equal scores as TREC's tools order them."""
    return sorted(scores, key=lambda document: (scores[document], document), reverse=True)


def _by_place(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores that keep the order in the 32 bits that the measures' own code has."""
    return {document: float(len(scores) - place) for place, document in enumerate(order(scores))}


def _measure(name: str) -> Any:
    from ir_measures import RR, Judged, R, nDCG

    kind, _, depth = name.partition("@")
    return {"ndcg": nDCG, "mrr": RR, "recall": R, "judged": Judged}[kind] @ int(depth)
