"""What a difference between two runs over the same questions is worth: intervals and paired tests.

The interval is the percentile bootstrap over questions; p is of the paired randomisation test (two-sided, by flipping
the signs of the differences): exact up to 20 questions, else sampled, where the outcome itself counts as one sample
(Phipson & Smyth 2010), so that p is never 0. Both agree with the t test on retrieval measures (Smucker et al. 2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from qwen3_rag.evaluation.metrics import rounded

RESAMPLES = 10_000
FLIPS = 100_000
EXACT = 20
"""Up to so many questions all assignments of signs are tried: a million."""
LEVEL = 0.05
SEED = 20_260_101
_CELLS = 4_000_000
_ROUNDING = 1e-12
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A run minus another, question by question: the mean, its 95 % interval, p, and how many questions gain."""

    mean: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int

    @property
    def is_better(self) -> bool:
        return self.p < LEVEL and self.mean > 0

    @property
    def is_worse(self) -> bool:
        return self.p < LEVEL and self.mean < 0

    def to_json(self) -> dict[str, float | int]:
        return {name: value if isinstance(value, int) else rounded(value) for name, value in asdict(self).items()}


def interval(values: Numbers, *, resamples: int = RESAMPLES, seed: int = SEED) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean.

    >>> interval(np.array([0.5, 0.5, 0.5]))
    (0.5, 0.5)
    """
    random = np.random.default_rng(seed)
    drawn = [
        values[random.integers(0, len(values), (rows, len(values)))].mean(axis=1)
        for rows in _blocks(resamples, len(values))
    ]
    low, high = np.quantile(np.concatenate(drawn), (LEVEL / 2, 1 - LEVEL / 2))
    return float(low), float(high)


def compare(
    ours: Numbers, base: Numbers, *, resamples: int = RESAMPLES, flips: int = FLIPS, seed: int = SEED
) -> Difference:
    """`ours` minus `base`, values of the same questions in the same order."""
    gains = ours - base
    low, high = interval(gains, resamples=resamples, seed=seed)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    p = randomisation_p(gains, flips=flips, seed=seed)
    return Difference(float(gains.mean()), low, high, p, wins, len(gains) - wins - losses, losses)


def randomisation_p(gains: Numbers, *, flips: int = FLIPS, seed: int = SEED) -> float:
    """How often the mean is as far from 0 as it is, when each difference could as well have had the other sign."""
    gains = gains[gains != 0]  # the sign of 0 changes nothing
    seen = abs(gains.sum()) - _ROUNDING * max(1.0, float(np.abs(gains).sum()))
    if len(gains) <= EXACT:
        sums = np.zeros(1)
        for gain in gains:
            sums = np.concatenate((sums + gain, sums - gain))
        return float((np.abs(sums) >= seen).mean())
    random = np.random.default_rng(seed)
    as_far = 0
    for rows in _blocks(flips, len(gains)):
        signs = random.integers(0, 2, (rows, len(gains)), dtype=np.int8) * 2.0 - 1.0
        as_far += int((np.abs(signs @ gains) >= seen).sum())
    return (as_far + 1) / (flips + 1)


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """`rows` in parts that fit in memory; the same parts whenever the sizes are the same."""
    size = max(1, _CELLS // max(1, columns))
    for start in range(0, rows, size):
        yield min(size, rows - start)
