"""How the scores of relevant candidates and of the others lie, by stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from qwen3_rag.evaluation.compared import Compared
from qwen3_rag.evaluation.threshold import separation

BINS = 24


def histograms(found: Compared) -> dict[str, dict[str, Any]]:
    """For each stage `edges` (one more than there are bins), the counts `relevant` and `others`, and `separation`, as
    `report` has it: None where one of the kinds is missing. Probabilities have bins from 0 to 1."""
    return {stage: _histogram(found, stage) for stage in found.runs}


def _histogram(found: Compared, stage: str) -> dict[str, Any]:
    run, qrels = found.runs[stage], found.labels.qrels
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for question, scores in run.items():
        for document, score in scores.items():
            kinds[qrels[question].get(document, 0) > 0].append(score)
    every = kinds[True] + kinds[False]
    is_probability = stage == "reranked" and all(0 <= score <= 1 for score in every)
    bounds = (0.0, 1.0) if is_probability or not every else (min(every), max(every))
    counts = {kind: np.histogram(scores, BINS, bounds) for kind, scores in kinds.items()}
    apart = separation(qrels, run)
    return {
        "edges": [float(edge) for edge in counts[True][1]],
        "relevant": counts[True][0].tolist(),
        "others": counts[False][0].tolist(),
        "separation": apart.to_json() if apart else None,
    }
