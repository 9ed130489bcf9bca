"""What a `score_threshold` would keep, on the labels. Scores are not calibrated: no value is right everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qwen3_rag.evaluation.labels import Qrels
from qwen3_rag.evaluation.metrics import Run, rounded
from qwen3_rag.evaluation.significance import LEVEL, SEED, Numbers

RECALLS = (0.99, 0.95, 0.9, 0.75, 0.5, 0.25)
_RESAMPLES = 300


@dataclass(frozen=True)
class Threshold:
    """Passages scored `score` or higher: what part of them is relevant, and what part of the relevant they are."""

    score: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Separation:
    """How well the second stage's scores tell relevant candidates from others, over all questions together.

    `area` is the probability that a relevant candidate has a higher score than another (ROC), with its 95 % interval
    over questions. `base` is the precision without a threshold. Recall is of the relevant ones among the candidates.
    """

    area: float
    low: float
    high: float
    base: float
    thresholds: list[Threshold]

    @property
    def separates(self) -> bool:
        return self.low > 0.5

    def to_json(self) -> dict[str, Any]:
        shown = [{name: rounded(value) for name, value in vars(one).items()} for one in self.thresholds]
        for row, one in zip(shown, self.thresholds, strict=True):
            row["score"] = one.score  # in full: rounded up it would keep fewer
        area = {"area": rounded(self.area), "low": rounded(self.low), "high": rounded(self.high)}
        return {"separates": self.separates, **area, "precision": rounded(self.base), "thresholds": shown}


def separation(qrels: Qrels, run: Run) -> Separation | None:
    """For each recall the highest threshold that keeps it; None where relevant or other candidates are missing."""
    scores = [np.array(list(run.get(one, {}).values()), dtype=float) for one in qrels]
    relevant = [np.array([qrels[one].get(document, 0) > 0 for document in run.get(one, {})], bool) for one in qrels]
    every, truth = np.concatenate(scores), np.concatenate(relevant)
    if truth.all() or not truth.any():
        return None
    random = np.random.default_rng(SEED)
    drawn = []
    for _ in range(_RESAMPLES):
        chosen = random.integers(0, len(scores), len(scores))
        drawn.append(_area(np.concatenate([scores[i] for i in chosen]), np.concatenate([relevant[i] for i in chosen])))
    low, high = np.nanquantile(drawn, (LEVEL / 2, 1 - LEVEL / 2))
    found = _thresholds(every, truth) if low > 0.5 else []
    return Separation(_area(every, truth), float(low), float(high), float(truth.mean()), found)


def _thresholds(scores: Numbers, relevant: Any) -> list[Threshold]:
    best_first = np.argsort(-scores, kind="stable")
    ordered, hits = scores[best_first], np.cumsum(relevant[best_first])
    found: dict[float, Threshold] = {}
    for recall in RECALLS:
        place = int(np.searchsorted(hits, np.ceil(recall * hits[-1] - 1e-9)))
        place = int(np.searchsorted(-ordered, -ordered[place], side="right")) - 1  # equal scores are kept together
        score = float(ordered[place])
        found[score] = Threshold(score, float(hits[place] / (place + 1)), float(hits[place] / hits[-1]))
    return list(found.values())


def _area(scores: Numbers, relevant: Any) -> float:
    """Area under the ROC curve by ranks, equal scores counted half; NaN where one kind is missing."""
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    hits = int(relevant.sum())
    others = len(values[places]) - hits
    if not hits or not others:
        return float("nan")
    return float((ranks[relevant].sum() - hits * (hits + 1) / 2) / (hits * others))
