"""What servers answer with, read and checked: every text has its own row, of the right width, of finite numbers."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qwen3_inference.engines import Scores, Vectors
from qwen3_inference.errors import EngineResponseError, NonFiniteResponseError
from qwen3_inference.local.rerank import sigmoid

Item = tuple[Any, Any]
"""The index that the server gives (None where its shape has none) and the value."""
Reader = Callable[[Any], list[Item]]


def listed(*path: str, value: str, index: str | None = "index") -> Reader:
    """Reads a list of objects below `path`, each with its index and value: `{"data": [{"index": 0, "score": 1}]}`."""

    def read(answer: Any) -> list[Item]:
        items: list[Item] = []
        for place, entry in enumerate(_list_below(answer, path)):
            if not isinstance(entry, dict) or value not in entry:
                raise EngineResponseError(f"entry {place} of the answer has no {value!r}: {_shown(entry)}")
            items.append((entry.get(index) if index else None, entry[value]))
        return items

    return read


def bare(*path: str) -> Reader:
    """Reads a list of values below `path`, in the order of the request."""
    return lambda answer: [(None, value) for value in _list_below(answer, path)]


def first_of(read: Reader, count: int) -> Reader:
    """The first of `count` numbers that each value has to be a list of."""

    def one(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != count:
            raise EngineResponseError(f"the answer has {_shown(value)} where a list of {count} belongs")
        return value[0]

    return lambda answer: [(index, one(value)) for index, value in read(answer)]


def in_order(items: Sequence[Item], count: int) -> list[Any]:
    """The values in the order of the request.

    Raises:
        EngineResponseError: there are not `count`, or their indices are not 0 to `count` - 1.
    """
    if len(items) != count:
        raise EngineResponseError(f"the answer has {len(items)} results for {count} texts")
    indices = [index for index, _ in items]
    if all(index is None for index in indices):
        return [value for _, value in items]
    if any(type(index) is not int for index in indices) or sorted(indices) != list(range(count)):
        raise EngineResponseError(f"the answer's indices are not 0 to {count - 1}: {_shown(indices)}")
    values: list[Any] = [None] * count
    for index, value in items:
        values[index] = value
    return values


def read_rows(values: Sequence[Any], width: int | None) -> npt.NDArray[np.float64]:
    """Rows of numbers (texts, width) from lists or base64. `width=None`: as wide as the first.

    Raises:
        EngineResponseError: a row is no list of numbers, or of another width.
    """
    rows = [_row(value, place) for place, value in enumerate(values)]
    width = len(rows[0]) if width is None else width
    for place, row in enumerate(rows):
        if len(row) != width or not width:
            raise EngineResponseError(f"vector {place} of the answer has {len(row)} numbers, not {width}")
    return np.stack(rows)


def unit_vectors(rows: npt.NDArray[np.float64], dimensions: int) -> Vectors:
    """Rows cut to `dimensions`, then of unit length: the order that MRL is trained for.

    Raises:
        NonFiniteResponseError: a row holds NaN or infinity.
        EngineResponseError: a row is all zeros.
    """
    raise_for_non_finite(rows, "vector")
    rows = rows[:, :dimensions]
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if len(zeros := np.flatnonzero(norms == 0)):
        raise EngineResponseError(f"the answer's vector of input {zeros[0]} is all zeros, which has no direction")
    vectors: Vectors = (rows / norms).astype(np.float32)
    return vectors


def probabilities(values: Sequence[Any], kind: str) -> Scores:
    """Scores (documents,) as probabilities; `kind` says what the server's are: "probability" or "logit".

    Raises:
        EngineResponseError: a score is no number, or no probability where it should be one.
    """
    for place, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EngineResponseError(f"the score of document {place} is {_shown(value)}, not a number")
    try:
        scores = np.array(values, dtype=np.float64)
    except OverflowError:  # JSON's whole numbers have no bound
        raise EngineResponseError(f"a score of the answer is no float64: {_shown(values)}") from None
    raise_for_non_finite(scores, "score")
    if kind == "logit":
        return sigmoid(scores)
    outside = np.flatnonzero((scores < 0) | (scores > 1))
    if len(outside):
        raise EngineResponseError(
            f"the score {scores[outside[0]]:g} of document {outside[0]} is no probability: the server gives logits, "
            "then say scores='logit', or it runs another model or another kind of head"
        )
    return scores


def raise_for_non_finite(values: npt.NDArray[np.float64], what: str) -> None:
    """A NaN would silently break every order it takes part in, and base64 hides it."""
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1) if values.size else np.ones(len(values), bool)
    if bad := np.flatnonzero(~finite).tolist():
        raise NonFiniteResponseError(
            f"the server's {what} of input {', '.join(map(str, bad[:10]))} is not finite; float16 overflows on large "
            "activations: serve the model in bfloat16 or float32",
            bad,
        )


def _row(value: Any, place: int) -> npt.NDArray[np.float64]:
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
            return np.frombuffer(raw, dtype="<f4").astype(np.float64)
        except (binascii.Error, ValueError) as error:
            raise EngineResponseError(f"vector {place} of the answer is no base64 of float32: {error}") from error
    try:
        row = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        row = np.zeros(0)
    if not isinstance(value, list) or row.ndim != 1 or row.dtype.kind not in "fiu":
        raise EngineResponseError(f"vector {place} of the answer is no list of numbers: {_shown(value)}")
    return row.astype(np.float64)


def _list_below(answer: Any, path: Sequence[str]) -> list[Any]:
    found = answer
    for key in path:
        if not isinstance(found, dict) or key not in found:
            raise EngineResponseError(f"the answer has no {'.'.join(path)!r}: {_shown(answer)}")
        found = found[key]
    if not isinstance(found, list):
        raise EngineResponseError(f"the answer has no list{' at ' + '.'.join(path) if path else ''}: {_shown(answer)}")
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:80]} ... {text[-30:]}"
