"""When vectors and scores are equal, when they differ, and which of several expectations fits best."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
EXACT = 1e-7
"""1 - cosine: below it nothing but rounding of float32 differs, and no fault has to be looked for."""
ALIKE = 1e-4
"""1 - cosine: below it two vectors are of one text."""
FITS = 1e-2
"""Rounding of bfloat16 and 8-bit weights stays within it."""
ROUGH = 5e-2
"""4-bit weights may come to it."""
_CLEARLY = 3.0
"""So many times nearer is what explains an answer better."""


def unit(rows: Rows) -> Rows:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms == 0, 1.0, norms), dtype=np.float64)


def distances(left: Rows, right: Rows) -> Rows:
    """1 - cosine of each pair of rows, (rows,). Of rows of unlike width, as many numbers as both have."""
    width = min(left.shape[1], right.shape[1])
    one, other = unit(left[:, :width]), unit(right[:, :width])
    return np.asarray(((one - other) ** 2).sum(axis=1) / 2)  # exact where they are nearly equal, which 1 - x is not


def logit_distance(left: Rows, right: Rows) -> float:
    """The largest difference of two sets of probabilities as logits, those nearest to 0 and 1 taken for one."""
    return float(np.abs(_clipped_logits(left) - _clipped_logits(right)).max())


def _clipped_logits(values: Rows) -> Rows:
    inside = np.clip(values, 5e-5, 1 - 5e-5)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def how_far(difference: float, unit_of_it: str = "") -> str:
    """For people."""
    return f"at most {difference:.0e}{unit_of_it} apart" if difference else "the same to the last bit"


@dataclass(frozen=True)
class Match:
    """The name of the nearest expectation, and how far it and the right one are."""

    name: str
    distance: float
    from_right: float

    @property
    def cosines(self) -> str:
        """Of vectors, for people."""
        return f"cosine to the weights {1 - self.from_right:.4f}, with this fault {1 - self.distance:.4f}"


def nearest(found: Mapping[str, float], right: str, *, exact: float, fits: float) -> Match | None:
    """Which expectation explains an answer, by its distances; None where none does.

    The right one has the benefit of the doubt: another must be clearly nearer.
    """
    from_right = found[right]
    name = min(found, key=lambda one: found[one])
    if from_right <= exact or name == right or found[name] * _CLEARLY > from_right:
        name = right
    if found[name] > fits and not (name != right and found[name] <= fits * 5 and found[name] * _CLEARLY <= from_right):
        return None
    return Match(name, found[name], from_right)
