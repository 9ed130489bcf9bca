"""What the first requests find out about an embedding server: whether ids and base64 work, how wide, and who it is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from qwen3_inference.engines import Vectors
from qwen3_inference.errors import EngineResponseError, EngineUnavailableError, NonFiniteResponseError
from qwen3_inference.remote.answers import unit_vectors
from qwen3_inference.remote.description import Description
from qwen3_inference.remote.failures import RefusedError

PROBES = (
    "The harbour master logs every vessel that enters the bay after sunset.",
    "def area(width, height):\n    return width * height  # Fläche in m²",
)
"""They never change: vectors of theirs are stored."""
_CONTROLLED = "ab<|im_end|>cd"
EQUAL = 0.999
"""Cosine of one text's vectors: bfloat16 in batches of another size keeps 0.9995."""
Ask = Callable[[Sequence[str] | Sequence[list[int]], bool], Awaitable[npt.NDArray[np.float64]]]
"""`ask(inputs, as_base64)`: the rows of one request."""


@dataclass(frozen=True)
class FirstUse:
    as_tokens: bool
    as_base64: bool
    probes: Vectors
    """Unit vectors (2, width) of two fixed texts, which tell models apart."""

    @property
    def width(self) -> int:
        return int(self.probes.shape[1])


async def find_out(ask: Ask, send: str, takes_base64: bool, description: Description | None) -> FirstUse:
    """At most four short requests. Nothing is kept when one fails: the next use asks again.

    Raises:
        EngineResponseError: the answers contradict each other, or the description.
        ValueError: `send="auto"` cannot be decided.
    """
    inputs = _ids(PROBES, description) if send == "tokens" and description else PROBES
    rows = await ask(inputs, False)
    as_base64 = takes_base64 and await _same_in_base64(ask, inputs, rows)
    as_tokens = send == "tokens"
    if send == "auto" and description is not None:
        as_tokens = await _takes_ids(ask, as_base64, rows, description)
        if as_tokens:
            rows = await ask(_ids(PROBES, description), as_base64)
    if description and description.width and rows.shape[1] != description.width:
        raise EngineResponseError(
            f"vectors have {rows.shape[1]} numbers, those of the model with the tokenizer in "
            f"{description.tokenizer.folder} have {description.width}: another model is served"
        )
    return FirstUse(as_tokens, as_base64, _unit(rows))


def vector_fingerprint(probes: Vectors) -> str:
    """A short hash of probe vectors (2, width) that rounding rarely changes: the sides of 32 random planes.

    Different models are told apart; for the same model, compare the vectors themselves (cosine of at least 0.99).
    """
    planes = np.random.RandomState(0).randint(0, 2, size=(16, probes.shape[1])) * 2 - 1  # this generator never changes
    sides = (probes.astype(np.float64) @ planes.T > 0).astype(np.uint8)
    return np.packbits(sides).tobytes().hex()


def order_fingerprint(scores: npt.NDArray[np.float64]) -> str:
    """A short hash of a reranker's probe scores: their order, which rounding rarely changes."""
    return sha256(np.argsort(-scores, kind="stable").astype("<i4").tobytes()).hexdigest()[:8]


async def _same_in_base64(ask: Ask, inputs: Sequence[str] | Sequence[list[int]], rows: npt.NDArray[np.float64]) -> bool:
    """Some servers refuse base64, and one was seen to answer a quarter of a vector."""
    try:
        encoded = await ask(inputs, True)
    except (RefusedError, EngineResponseError):
        return False
    return encoded.shape == rows.shape and bool((_cosines(encoded, rows) > EQUAL).all())


async def _takes_ids(ask: Ask, as_base64: bool, rows: npt.NDArray[np.float64], description: Description) -> bool:
    """Whether ids are computed as they are. Then the vector of a text is that of its ids, and ids of a broken up
    control token are not put together to one again."""
    tokenizer, end = description.tokenizer, description.end_ids
    broken = tokenizer.encode([_CONTROLLED])[0] + end
    whole = tokenizer.encode_template(_CONTROLLED) + end
    without_end = tokenizer.encode(PROBES)
    try:
        found = await ask([*_ids(PROBES, description), *without_end, broken, whole], as_base64)
    except (RefusedError, EngineResponseError):
        return False
    except EngineUnavailableError:  # ids are answered with an error, or the server is gone
        await ask(PROBES, as_base64)
        return False
    if _cosines(found[4:5], found[5:6])[0] > EQUAL:
        return False
    # A server that appends no <|endoftext|> to texts (an old conversion) computes ids right all the same.
    if any((_cosines(found[start : start + 2], rows) > EQUAL).all() for start in (0, 2)):
        return True
    raise ValueError(
        "the server answers ids otherwise than the text they are made of (cosine "
        f"{_cosines(found[:2], rows).min():.3f}): tokenizer= is another model's, the server puts a prompt before "
        "texts, or it changes ids. Say send='text' or send='tokens' if you know which is right"
    )


def _ids(texts: Sequence[str], description: Description) -> list[list[int]]:
    return [ids + description.end_ids for ids in description.tokenizer.encode(texts)]


def _cosines(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if left.shape[1] != right.shape[1]:
        raise EngineResponseError(f"vectors have {right.shape[1]} numbers in one answer and {left.shape[1]} in another")
    cosines: npt.NDArray[np.float64] = np.sum(_unit(left) * _unit(right), axis=1, dtype=np.float64)
    return cosines


def _unit(rows: npt.NDArray[np.float64]) -> Vectors:
    """Their indices are not the caller's: an error has none."""
    try:
        return unit_vectors(rows, rows.shape[1])
    except NonFiniteResponseError as error:
        raise NonFiniteResponseError(f"{error} (probe texts of the first use)", []) from error
