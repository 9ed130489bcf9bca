"""Intervals and p against plain loops over samples, and against what is planted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qwen3_rag.evaluation.significance import Difference, Numbers, compare, interval, randomisation_p
from scipy import stats

MADE = {
    "plain": lambda random: random.normal(0.02, 0.1, 225),
    "skewed": lambda random: random.exponential(0.1, 150) - 0.08,
    "mostly ties": lambda random: random.choice([0.0, 0.0, 0.0, 0.5, -0.25], 300),
}


def values(kind: str) -> Numbers:
    made: Numbers = MADE[kind](np.random.default_rng(7))
    return made


@pytest.mark.parametrize("kind", MADE)
def test_the_interval_is_the_percentile_bootstraps(kind: str) -> None:
    gains, random = values(kind), np.random.default_rng(1)
    means = [gains[random.integers(0, len(gains), len(gains))].mean() for _ in range(20_000)]
    error = gains.std() / len(gains) ** 0.5
    assert interval(gains) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.12 * error)


@pytest.mark.parametrize("kind", MADE)
def test_p_is_the_randomisation_tests(kind: str) -> None:
    gains, random = values(kind), np.random.default_rng(1)
    flipped = [abs((random.choice((-1.0, 1.0), len(gains)) * gains).sum()) for _ in range(20_000)]
    theirs = (sum(one >= abs(gains.sum()) - 1e-9 for one in flipped) + 1) / 20_001
    assert randomisation_p(gains) == pytest.approx(theirs, abs=5 * (theirs * (1 - theirs) / 15_000) ** 0.5 + 2e-4)


def test_few_questions_are_tried_in_every_way() -> None:
    gains = np.array([0.3, -0.1, 0.2, 0.05, 0.0, 0.4, -0.02])
    signs = np.array(list(itertools.product((1, -1), repeat=len(gains))))
    as_far = np.abs(signs @ gains) >= abs(gains.sum()) - 1e-12
    assert randomisation_p(gains) == pytest.approx(as_far.mean())
    assert randomisation_p(np.full(15, 0.1)) == 2 / 2**15


def test_a_difference_in_json_has_whole_counts_and_figures_of_six_digits() -> None:
    found = Difference(1 / 3, -1 / 3, 2 / 3, 1 / 7, 2, 1, 0, 4 / 3).to_json()
    assert found == {
        "mean": 0.333333, "low": -0.333333, "high": 0.666667, "p": 0.142857, "wins": 2, "ties": 1, "losses": 0,
        "effect": 1.333333,
    }  # fmt: skip
    assert {name for name, value in found.items() if isinstance(value, int)} == {"wins", "ties", "losses"}


def test_the_same_values_give_the_same_each_time() -> None:
    gains = values("plain")
    assert compare(gains, np.zeros(225), resamples=200, flips=99) == compare(
        gains, np.zeros(225), resamples=200, flips=99
    )
    assert randomisation_p(np.array([0.1, 0.2])) == 0.5, "two questions can differ by chance in two of four ways"


def test_one_question_decides_nothing() -> None:
    found = compare(np.array([0.75]), np.array([0.25]))
    assert (found.mean, found.low, found.high, found.p) == (0.5, 0.5, 0.5, 1.0)


def test_p_is_never_0_and_the_outcome_counts_as_a_sample() -> None:
    assert randomisation_p(np.full(100, 0.1), flips=999) == 1 / 1000


def test_a_run_against_itself_differs_by_nothing() -> None:
    found = compare(values("plain"), values("plain"))
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert (found.wins, found.ties, found.losses) == (0, 225, 0)
    assert not found.is_better
    assert not found.is_worse


def test_the_other_way_round_is_the_same_difference_with_the_other_sign() -> None:
    ours, base = np.abs(values("plain")), np.zeros(225)
    one, other = compare(ours, base), compare(base, ours)
    assert (one.mean, one.p, one.wins) == (-other.mean, other.p, other.losses)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.002)
    assert one.is_better
    assert other.is_worse


def test_a_planted_difference_is_found_and_a_planted_null_is_not() -> None:
    """Per-question values as nDCG has them: many 0 and 1, the two runs alike but for noise."""
    random = np.random.default_rng(2026)
    significant = {0.0: 0, 0.05: 0}
    for _ in range(200):
        base = random.choice([0.0, 1.0, 0.4, 0.7], 120)
        noise = random.normal(0, 0.15, 120)
        for planted in significant:
            found = compare(base + noise + planted, base, resamples=200, flips=1_999)
            significant[planted] += found.p < 0.05
    assert significant[0.0] <= 16, "8 % of 200"
    assert significant[0.05] >= 180


def test_the_interval_covers_the_true_mean() -> None:
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        low, high = interval(random.exponential(0.5, 100), resamples=500)
        covered += low <= 0.5 <= high
    assert covered >= 178


@pytest.mark.parametrize("kind", MADE)
def test_the_effect_size_stays_where_questions_are_added(kind: str) -> None:
    gains = values(kind)
    once, fourfold = (compare(np.tile(gains, times), np.zeros(times * len(gains))) for times in (1, 4))
    assert once.effect == pytest.approx(stats.ttest_1samp(gains, 0).statistic / len(gains) ** 0.5)
    assert fourfold.effect == pytest.approx(once.effect, rel=0.01)
    assert fourfold.p <= once.p
    assert once.cells()["effect"] == f"{once.effect:+.2f}"


def test_equal_differences_have_no_effect_size() -> None:
    found = compare(np.full(5, 0.5), np.full(5, 0.25))
    assert (found.to_json()["effect"], found.cells()["effect"]) == (None, "-")
