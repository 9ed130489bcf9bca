"""What a difference between two runs over the same questions is worth: intervals and paired tests.

The interval is the percentile bootstrap over questions; p is of the paired randomisation test (two-sided, by flipping
the signs of the differences): exact for few questions, else sampled, where the outcome itself counts as one sample
(Phipson & Smyth 2010), so that p is never 0. Both agree with the t test on retrieval measures (Smucker et al. 2007).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from qwen3_rag.evaluation.metrics import rounded

RESAMPLES = 10_000
FLIPS = 2**15
"""Assignments of signs; up to 15 differences that is all of them."""
LEVEL = 0.05
SEED = 20_260_101
_CELLS = 4_000_000
"""Numbers drawn at once."""
_DIGITS = 12
"""Sums of the same numbers in another order are equal to so many decimals."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A run minus another, question by question: the mean, its 95 % interval, p, and how many questions gain.

    `effect` is the effect size, the mean in standard deviations of the differences (Cohen's d of pairs): p gets smaller
    with more questions, it does not. None where all questions differ by the same.
    """

    mean: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int
    effect: float | None = None

    def cells(self) -> dict[str, str]:
        """The columns of a printed comparison."""
        return {
            "difference": f"{self.mean:+.4f}",
            "95 % interval": f"[{self.low:+.4f}, {self.high:+.4f}]",
            "p": f"{self.p:.3g}",
            "wins": str(self.wins),
            "ties": str(self.ties),
            "losses": str(self.losses),
            "effect": "-" if self.effect is None else f"{self.effect:+.2f}",
        }

    @property
    def is_better(self) -> bool:
        return self.p < LEVEL and self.mean > 0

    @property
    def is_worse(self) -> bool:
        return self.p < LEVEL and self.mean < 0

    def to_json(self) -> dict[str, float | int | None]:
        return {name: rounded(value) if isinstance(value, float) else value for name, value in asdict(self).items()}


def interval(values: Numbers, *, resamples: int = RESAMPLES, seed: int = SEED) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean.

    >>> interval(np.array([0.5, 0.5, 0.5]))
    (0.5, 0.5)
    """
    from scipy.stats import bootstrap

    if np.ptp(values) == 0:  # a single question, too, of which scipy draws none
        return float(values[0]), float(values[0])
    found = bootstrap(
        (values,),
        np.mean,
        method="percentile",
        confidence_level=1 - LEVEL,
        n_resamples=resamples,
        batch=_together(values),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def compare(
    ours: Numbers, base: Numbers, *, resamples: int = RESAMPLES, flips: int = FLIPS, seed: int = SEED
) -> Difference:
    """`ours` minus `base`, values of the same questions in the same order."""
    gains = ours - base
    low, high = interval(gains, resamples=resamples, seed=seed)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    p = randomisation_p(gains, flips=flips, seed=seed)
    spread = float(gains.std(ddof=1)) if np.ptp(gains) else 0.0
    effect = float(gains.mean()) / spread if spread else None
    return Difference(float(gains.mean()), low, high, p, wins, len(gains) - wins - losses, losses, effect)


def randomisation_p(gains: Numbers, *, flips: int = FLIPS, seed: int = SEED) -> float:
    """How often the mean is as far from 0 as it is, when each difference could as well have had the other sign."""
    from scipy.stats import permutation_test

    gains = gains[gains != 0]  # the sign of 0 changes nothing
    if len(gains) < 2:
        return 1.0

    def distance(drawn: Numbers, axis: int = -1) -> Numbers:
        rounded_sums: Numbers = np.round(np.abs(drawn.sum(axis=axis)), _DIGITS)
        return rounded_sums

    found = permutation_test(
        (gains,),
        distance,
        permutation_type="samples",  # of one sample: of its signs
        alternative="greater",
        vectorized=True,
        n_resamples=flips,
        batch=_together(gains),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _together(values: Numbers) -> int:
    return max(1, _CELLS // len(values))
