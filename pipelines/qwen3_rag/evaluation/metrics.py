"""Measures of rankings by ir-measures, a value a question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from qwen3_rag.errors import ConfigError

Run = dict[str, dict[str, float]]
"""Question id to document id to score."""
Values = dict[str, npt.NDArray[np.float64]]
"""Metric to its value for each question, in the questions' order."""

Value = TypeVar("Value", int, float)
MAX_DEPTH = 100_000

METRICS = ("ndcg@10", "mrr@10", "recall@50")
"""Those of every evaluation; `KINDS` are the further ones that can be asked for."""
KINDS = {"ndcg": "nDCG", "mrr": "RR", "recall": "R", "hit": "Success", "map": "AP", "judged": "Judged"}
"""What stands before the `@` to its name in ir-measures, which says how it is computed."""


def by_question(qrels: Mapping[str, Mapping[str, int]], run: Run, names: Sequence[str] = METRICS) -> Values:
    """Values of measures, such as `ndcg@10`, for every question of `qrels`; an unanswered one has 0."""
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
    import ir_measures

    kind, _, depth = name.partition("@")
    return getattr(ir_measures, KINDS[kind]) @ int(depth)


def check_metric(name: str) -> str:
    """The name, if it is a measure at a depth.

    Raises:
        ConfigError: it is none.

    >>> check_metric("recall@5")
    'recall@5'
    """
    kind, _, depth = name.partition("@")
    if kind not in KINDS or not (depth.isascii() and depth.isdigit()) or not 1 <= int(depth) <= MAX_DEPTH:
        known = ", ".join(f"{kind}@K" for kind in KINDS)
        raise ConfigError(f"{name!r:.80} is no metric: there are {known}, with K from 1 to {MAX_DEPTH}")
    return name
