"""Measures of rankings by ir-measures, a value a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Run = dict[str, dict[str, float]]
"""Question id to document id to score."""
Values = dict[str, npt.NDArray[np.float64]]
"""Metric to its value for each question, in the questions' order."""

Value = TypeVar("Value", int, float)

METRICS = ("ndcg@10", "mrr@10", "recall@50")


def by_question(qrels: Mapping[str, Mapping[str, int]], run: Run, names: Sequence[str] = METRICS) -> Values:
    """Values of `ndcg@K`, `mrr@K`, `recall@K`, `judged@K` for every question of `qrels`; an unanswered one has 0."""
    import ir_measures

    measures = {_measure(name): name for name in names}
    values = {name: np.zeros(len(qrels)) for name in names}
    # By numbers: the measures' own code breaks the process where a name is no UTF-8.
    judged = {str(place): _numbered(grades) for place, grades in enumerate(qrels.values())}
    ranked = {
        str(place): _numbered(_by_place(run[question]), qrels[question])
        for place, question in enumerate(qrels)
        if question in run
    }
    if ranked:  # ir-measures takes no empty run
        for found in ir_measures.iter_calc(list(measures), judged, ranked):
            values[measures[found.measure]][int(found.query_id)] = found.value
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


def _numbered(values: Mapping[str, Value], first: Iterable[str] = ()) -> dict[str, Value]:
    """Documents by their numbers in `first`, then in `values`."""
    numbers = {document: str(number) for number, document in enumerate(dict.fromkeys([*first, *values]))}
    return {numbers[document]: value for document, value in values.items()}


def _by_place(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores that keep the order in the 32 bits that the measures' own code has."""
    return {document: float(len(scores) - place) for place, document in enumerate(order(scores))}


def _measure(name: str) -> Any:
    from ir_measures import RR, Judged, R, nDCG

    kind, _, depth = name.partition("@")
    return {"ndcg": nDCG, "mrr": RR, "recall": R, "judged": Judged}[kind] @ int(depth)
