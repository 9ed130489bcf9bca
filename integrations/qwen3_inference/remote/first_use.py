"""What the first requests find out about an embedding server: whether ids and base64 work, how wide, who it is, and
whether it is one of those that give wrong vectors in silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from qwen3_inference import golden
from qwen3_inference.engines import Vectors
from qwen3_inference.errors import EngineResponseError, EngineUnavailableError, NonFiniteResponseError
from qwen3_inference.remote.answers import unit_vectors
from qwen3_inference.remote.description import Description
from qwen3_inference.remote.failures import RefusedError
from qwen3_inference.remote.raw import RawVectors, VectorAsking

PROBES = (
    "The harbour master logs every vessel that enters the bay after sunset.",
    "def area(width, height):\n    return width * height  # Fläche in m²",
)
"""They never change: vectors of theirs are stored."""
_BESIDE = "The tide turns."
"""Begins as the first probe does."""
_CONTROLLED = "ab<|im_end|>cd"
EQUAL = 0.999
"""Cosine of one text's vectors: bfloat16 in batches of another size keeps 0.9995."""
_SAME = 1e-9
"""1 - cosine of two texts' vectors that were made without reading them."""


class UndecidedError(ValueError):
    """`send="auto"` cannot be decided: the server answers ids otherwise than the text they are made of."""


@dataclass(frozen=True)
class FirstUse:
    as_tokens: bool
    as_base64: bool
    probes: Vectors
    """Unit vectors (2, width) of two fixed texts, which tell models apart."""

    @property
    def width(self) -> int:
        return int(self.probes.shape[1])


async def find_out(ask: VectorAsking, send: str, description: Description | None, advice: str) -> FirstUse:
    """At most three short requests. Nothing is kept when one fails: the next use asks again.

    Raises:
        EngineResponseError: the answers contradict each other or the description, or are clearly no Qwen3-Embedding's;
            the message ends in `advice`.
        UndecidedError: `send="auto"` cannot be decided.
    """
    texts = _texts(ask.model)
    inputs: Sequence[str] | Sequence[list[int]] = texts
    if send == "tokens" and description:
        inputs = _ids(texts, description)
    answer = await ask(inputs)
    rows = answer.rows
    as_base64 = ask.dialect.takes_base64 and await _same_in_base64(ask, inputs, rows)
    as_tokens = send == "tokens"
    if send == "auto" and description is not None:
        by_ids = await _by_ids(ask, as_base64, rows, description, advice)
        as_tokens, rows = by_ids is not None, rows if by_ids is None else by_ids
    vectors, sent = _unit(rows), None if as_tokens else texts
    if wrong := _clearly_wrong(RawVectors(rows, answer.tokens), sent, description) or _not_as_published(rows):
        raise EngineResponseError(f"{wrong}; {advice}")
    return FirstUse(as_tokens, as_base64, vectors[: len(PROBES)])


def _clearly_wrong(answer: RawVectors, texts: Sequence[str] | None, description: Description | None) -> str:
    """What no right server does, "" where nothing is seen. `texts`: what was sent, None where that was ids."""
    rows = answer.rows
    if description and description.width and rows.shape[1] != description.width:
        return (
            f"vectors have {rows.shape[1]} numbers, those of the model with the tokenizer in "
            f"{description.tokenizer.folder} have {description.width}: another model is served"
        )
    if _distance(rows[0], rows[1]) < _SAME:
        return "every text gets the same vector: the texts do not reach the model"
    if _distance(rows[0], rows[2]) < _SAME:
        return "texts that begin alike get the same vector: the first token is pooled (cls) instead of the last"
    if texts is not None and description and answer.tokens is not None:
        missing = sum(len(ids) for ids in _ids(texts, description)) - answer.tokens
        if missing == len(texts) * len(description.end_ids):
            return (
                f"the server reads {answer.tokens} tokens of {len(texts)} texts, one too few of each: it does not "
                "append <|endoftext|>, at whose position Qwen3-Embedding is read"
            )
    return ""


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


def _texts(model: str) -> tuple[str, ...]:
    return (*PROBES, _BESIDE, golden.TEST) if model == golden.EMBEDDER else (*PROBES, _BESIDE)


def _not_as_published(rows: npt.NDArray[np.float64]) -> str:
    """Of the official 0.6B alone, by its name and its width."""
    if len(rows) == len(PROBES) + 1 or rows.shape[1] != golden.EMBEDDER_WIDTH:
        return ""
    begins = (rows[-1] / np.linalg.norm(rows[-1]))[: len(golden.TEST_BEGINS)]
    if np.abs(begins - golden.TEST_BEGINS).max() < golden.CLOSE:
        return ""
    return (
        f"the vector of {golden.TEST!r} begins {begins.round(4).tolist()}, that of {golden.EMBEDDER} "
        f"{golden.TEST_BEGINS.round(4).tolist()}: another model, another pooling, or no <|endoftext|>"
    )


async def _same_in_base64(
    ask: VectorAsking, inputs: Sequence[str] | Sequence[list[int]], rows: npt.NDArray[np.float64]
) -> bool:
    """Some servers refuse base64, and one was seen to answer a quarter of a vector."""
    try:
        encoded = (await ask(inputs, as_base64=True)).rows
    except (RefusedError, EngineResponseError):
        return False
    return encoded.shape == rows.shape and bool((_cosines(encoded, rows) > EQUAL).all())


async def _by_ids(
    ask: VectorAsking, as_base64: bool, rows: npt.NDArray[np.float64], description: Description, advice: str
) -> npt.NDArray[np.float64] | None:
    """The rows of the probes' ids, where ids are computed as they are. Then the vector of a text is that of its ids,
    and ids of a broken up control token are not put together to one again."""
    tokenizer, end, texts = description.tokenizer, description.end_ids, _texts(ask.model)
    broken = tokenizer.encode([_CONTROLLED])[0] + end
    whole = tokenizer.encode_template(_CONTROLLED) + end
    without_end, count = tokenizer.encode(texts), len(texts)
    try:
        found = (await ask([*_ids(texts, description), *without_end, broken, whole], as_base64=as_base64)).rows
    except (RefusedError, EngineResponseError):
        return None
    except EngineUnavailableError:  # ids are answered with an error, or the server is gone
        await ask(PROBES, as_base64=as_base64)
        return None
    if _cosines(found[-2:-1], found[-1:])[0] > EQUAL:
        return None
    # A server that appends no <|endoftext|> to texts (an old conversion) computes ids right all the same.
    if any((_cosines(found[start : start + count], rows) > EQUAL).all() for start in (0, count)):
        return found[:count]
    raise UndecidedError(
        "the server answers ids otherwise than the text they are made of (cosine "
        f"{_cosines(found[:count], rows).min():.3f}): tokenizer= is another model's, the server puts a prompt before "
        f"texts, or it changes ids. Say send='text' or send='tokens' if you know which is right; {advice}"
    )


def _ids(texts: Sequence[str], description: Description) -> list[list[int]]:
    return [ids + description.end_ids for ids in description.tokenizer.encode(texts)]


def _cosines(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if left.shape[1] != right.shape[1]:
        raise EngineResponseError(f"vectors have {right.shape[1]} numbers in one answer and {left.shape[1]} in another")
    cosines: npt.NDArray[np.float64] = np.sum(_unit(left) * _unit(right), axis=1, dtype=np.float64)
    return cosines


def _distance(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float:
    """1 - cosine, also where float32 would round it to nothing."""
    difference = left / np.linalg.norm(left) - right / np.linalg.norm(right)
    return float(difference @ difference / 2)


def _unit(rows: npt.NDArray[np.float64]) -> Vectors:
    """Their indices are not the caller's: an error has none."""
    try:
        return unit_vectors(rows, rows.shape[1])
    except NonFiniteResponseError as error:
        raise NonFiniteResponseError(f"{error} (probe texts of the first use)", []) from error
