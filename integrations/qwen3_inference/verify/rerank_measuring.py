"""The requests to a reranking endpoint: about ten, each short but that of the truncation probe."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError
from qwen3_inference.faults.rerank import PROMPT_FAULTS, RIGHT_PROMPT, PromptFault
from qwen3_inference.local.rerank import sigmoid
from qwen3_inference.prompts import DEFAULT_INSTRUCTION
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import logit_distance
from qwen3_inference.verify.probes import ASKED, NOT_FINITE, PAIRS, RED_PLANET
from qwen3_inference.verify.rerank_subjects import RerankComponent, RerankEndpoint

MARS = 1
BY_IDS = (0, 2)
"""Of PAIRS: two that the model is less sure of."""
SAME = 1e-4
"""Largest difference as logits of two scores in float32."""


class NotFiniteError(Exception):
    """A score that is no finite number."""


@dataclass(frozen=True)
class MeasuredScores:
    """As the endpoint gives them; where it is said to give logits, already as probabilities."""

    pairs: Rows
    """Of PAIRS, in three requests."""
    alone: float
    """Mars, alone in its request."""
    backward: Rows
    """The Red Planet's documents the other way round, then Mars once more."""
    counted: tuple[int | None, int | None]
    """Tokens that the server counted of Mars alone, and of the Red Planet's four."""
    by_ids: dict[str, Rows]
    """Of BY_IDS with each fault written into whole prompts, where the server takes those."""

    @property
    def noise(self) -> float:
        """How far scores of one pair lie apart, from one request to another."""
        forward, count = self.pairs[: len(RED_PLANET.documents)], len(RED_PLANET.documents)
        apart = [
            *(forward - self.backward[:count][::-1]),
            self.alone - forward[MARS],
            self.backward[count] - forward[MARS],
        ]
        return float(np.abs(apart).max())

    @property
    def noise_of_logits(self) -> float:
        count = len(RED_PLANET.documents)
        return logit_distance(np.clip(self.pairs[:count], 0, 1), np.clip(self.backward[:count][::-1], 0, 1))


def measure_scores(subject: RerankEndpoint | RerankComponent) -> MeasuredScores:
    """Raises what the requests raise, and NotFiniteError for what is no number."""
    documents = list(RED_PLANET.documents)
    answers = [subject.ask(one.query, one.documents) for one in ASKED]
    alone = subject.ask(RED_PLANET.query, [documents[MARS]])
    backward = subject.ask(RED_PLANET.query, [*documents[::-1], documents[MARS], ". ".join(NOT_FINITE)])
    values = [numbers(answer.values, subject.scores) for answer in answers]
    measured = MeasuredScores(
        np.concatenate(values),
        float(numbers(alone.values, subject.scores)[0]),
        numbers(backward.values, subject.scores),
        (alone.tokens, answers[0].tokens),
        {},
    )
    return replace(measured, by_ids=_written_as_ids(subject, measured))


def numbers(values: Sequence[Any], kind: str) -> Rows:
    """Scores as floats; logits, where the client is told so, as probabilities."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise NotFiniteError(f"a score is {value!r}")
    found = np.array(values, dtype=np.float64)
    return sigmoid(found) if kind == "logit" else found


def _written_as_ids(subject: RerankEndpoint | RerankComponent, measured: MeasuredScores) -> dict[str, Rows]:
    """The right prompt; the others, which are many tokens, only where that one does not explain the scores."""
    if not isinstance(subject, RerankEndpoint) or not subject.takes_whole_ids or subject.prompt == "tokens":
        return {}
    try:
        found = _ask_written(subject, (RIGHT_PROMPT,))
        apart = logit_distance(measured.pairs[list(BY_IDS)], found[RIGHT_PROMPT.fault.name])
        return found if apart <= max(SAME, measured.noise_of_logits) else found | _ask_written(subject, PROMPT_FAULTS)
    except (EngineResponseError, EngineUnavailableError, ValueError, NotFiniteError):
        return {}


def _ask_written(subject: RerankEndpoint, written: Sequence[PromptFault]) -> dict[str, Rows]:
    assert subject.description is not None  # noqa: S101  only asked where there is one
    tokenizer, task = subject.description.tokenizer, subject.description.instruction or DEFAULT_INSTRUCTION
    pairs = [PAIRS[place] for place in BY_IDS]
    rows = numbers(
        subject.ask_ids([one.ids(*pair, task, tokenizer) for one in written for pair in pairs]).values, subject.scores
    )
    return {one.fault.name: rows[i * len(pairs) : (i + 1) * len(pairs)] for i, one in enumerate(written)}
