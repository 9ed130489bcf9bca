"""What the first request shows of a reranking server: whether it is one of those that give wrong scores in silence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qwen3_inference.engines import Scores
from qwen3_inference.errors import EngineResponseError, EngineUnavailableError, NonFiniteResponseError
from qwen3_inference.faults.rerank import PROMPT_FAULTS, RIGHT_PROMPT
from qwen3_inference.remote.answers import probabilities
from qwen3_inference.remote.description import Description
from qwen3_inference.remote.raw import RawScores, ScoreAsking
from qwen3_inference.remote.rerank_inputs import whole_prompts

QUERY = "How is bread baked?"
DOCUMENTS = (
    "Knead flour, water, yeast and salt, let the dough rise and bake it in a hot oven.",
    "Bread has been eaten for thousands of years.",
    "A baker's shop opens early in the morning.",
    "Tyres are filled with air to a pressure of two bar.",
    "Cake is baked from butter, sugar, eggs and flour.",
    "The oven of the ceramics studio reaches 1200 degrees.",
)
_COMPARED = (0, 3)
_SAME_PROMPT, _OTHER_PROMPT = 1e-3, 1e-2
"""Difference of two probabilities of one prompt, and of another one at least."""
NOTHING = 1e-10
"""Files for llama.cpp without the head give probabilities of 1e-20."""


@dataclass(frozen=True)
class WrittenPrompts:
    """What the server is known to be told: with `by_ids`, whole prompts go round its template."""

    description: Description
    task: str
    by_ids: ScoreAsking | None
    counts: bool
    """The server counts the tokens of whole prompts."""

    def ids(self, name: str, places: Sequence[int]) -> list[list[int]]:
        write = next(one for one in (RIGHT_PROMPT, *PROMPT_FAULTS) if one.fault.name == name)
        return [write.ids(QUERY, DOCUMENTS[place], self.task, self.description.tokenizer) for place in places]


async def scores_of_first_use(answer: RawScores, kind: str, prompts: WrittenPrompts | None, advice: str) -> Scores:
    """The probabilities of DOCUMENTS from the server's `answer`; at most one request more.

    Raises:
        EngineResponseError: they are no probabilities, or cannot be a right server's; the message ends in `advice`.
    """
    try:
        found = probabilities(answer.values, kind)
    except NonFiniteResponseError as error:  # their indices are not the caller's
        raise NonFiniteResponseError(f"{error} (probe texts of the first use)", []) from error
    wrong = _without_reading(found)
    if not wrong and prompts is not None:
        wrong = await _prompt_fault(found, answer.tokens, prompts)
    if wrong:
        raise EngineResponseError(f"{wrong}; {advice}")
    return found


def _without_reading(found: Scores) -> str:
    if found.max() < NOTHING:
        return f"no score is over {found.max():.0e}: the model is served without its head"
    if np.ptp(found) < 1e-12 and 1e-6 < found[0] < 1 - 1e-6:
        return (
            f"every document gets the score {found[0]:.4g}: query and documents do not reach the model, or it is "
            "served without its head"
        )
    return ""


async def _prompt_fault(found: Scores, counted: int | None, prompts: WrittenPrompts) -> str:
    names = ["right", *(one.fault.name for one in PROMPT_FAULTS if one.fault.name.startswith(("missing", "twice")))]
    words = {one.fault.name: one.fault.found for one in PROMPT_FAULTS}
    if prompts.by_ids is not None and (right := await _by_ids(prompts.by_ids, ["right"], prompts)) is not None:
        usual = found[list(_COMPARED)]
        apart = np.abs(right - usual).max()
        if apart <= _OTHER_PROMPT:
            return ""
        others = await _by_ids(prompts.by_ids, names[1:], prompts)
        off = np.abs(others - usual).max(axis=1) if others is not None else np.array([np.inf])
        return words[names[1 + int(off.argmin())]] if off.min() < min(_SAME_PROMPT, apart / 10) else ""
    if prompts.counts and counted is not None:
        for name in names[1:]:
            if counted == sum(map(len, prompts.ids(name, range(len(DOCUMENTS))))):
                return f"{words[name]} (the server counts {counted} tokens)"
    return ""


async def _by_ids(ask: ScoreAsking, names: Sequence[str], prompts: WrittenPrompts) -> Scores | None:
    """Probabilities (names, compared documents) of prompts with those faults; None where there is no such route."""
    asked = whole_prompts([ids for name in names for ids in prompts.ids(name, _COMPARED)], prompts.description)
    try:
        values = (await ask((), asked.documents, answer_ids=asked.answer_ids)).values
    except (EngineResponseError, EngineUnavailableError, ValueError):
        return None
    if len(values) != len(asked.documents) or not all(isinstance(value, int | float) for value in values):
        return None
    return np.array(values, dtype=np.float64).reshape(len(names), len(_COMPARED))
