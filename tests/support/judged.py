"""Judged questions with the scores that two stages might give, without models: for what is made of an evaluation."""

from __future__ import annotations

import random

from qwen3_rag.evaluation.labels import Labels
from qwen3_rag.evaluation.ranking import Ranked


def judged(count: int, *, second: bool = True, text: str = "", apart: float = 1.0) -> tuple[list[Ranked], Labels]:
    """`count` questions of 50 candidates, five of them relevant. `text` stands in every name and passage; the scores of
    relevant candidates are higher by `apart` standard deviations."""
    draw, labels, ranked = random.Random(count), Labels({}, {}), []
    for number in range(count):
        name = f"q{number}{text}"
        documents = [f"d{number}-{place}{text}" for place in range(50)]
        relevant = set(draw.sample(documents[:25], 5))
        labels.queries[name] = f"what is known of effect {number} on heat transfer in slender wings {text}"
        labels.qrels[name] = dict.fromkeys(relevant, 1)
        scores = [
            {one: min(1.0, max(0.0, draw.gauss(0.4 + width * apart * (one in relevant), width))) for one in documents}
            for width in (0.05, 0.15)
        ]
        seconds = {"dense": 0.01, "rerank": 0.3} if second else {"dense": 0.01}
        passages = {one: f"experimental study {one} of the laminar boundary layer {text}" for one in documents}
        ranked.append(Ranked(name, name, scores[0], scores[1] if second else None, seconds, 50, passages))
    return ranked, labels
