"""One seed for whatever the tests draw: of this run's own unless `QWEN3_TEST_SEED` says it.

Data made from a fixed number, such as the scores a statistic is checked on, is no draw: it is the same in every run.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import core, settings

Case = TypeVar("Case")
NAME = "QWEN3_TEST_SEED"
SEED = int(os.environ.setdefault(NAME, str(random.SystemRandom().randrange(2**32))))
"""In the environment, from where the other processes of the run have it."""


def seed_of(name: object) -> int:
    """32 bits made of the run's seed and a name, so that a test draws the same whatever ran before it."""
    return int.from_bytes(hashlib.sha256(f"{SEED} {name}".encode()).digest()[:4], "big")


def random_of(name: object) -> random.Random:
    return random.Random(seed_of(name))


def seed_libraries(name: str) -> None:
    """The generators that Python, numpy and torch share, for one test; torch draws nothing before it is imported."""
    random.seed(seed_of(name))
    for module in ("numpy.random", "torch"):
        if module in sys.modules:
            getattr(sys.modules[module], "manual_seed" if module == "torch" else "seed")(seed_of(name))


def seed_hypothesis() -> None:
    """Its examples, and how many: `--hypothesis-profile=nightly` draws twenty times as many, `quick` a tenth."""
    core.global_force_seed = SEED
    for profile, examples in (("suite", 100), ("nightly", 2_000), ("quick", 10)):
        settings.register_profile(profile, max_examples=examples, deadline=None, print_blob=True)
    settings.load_profile("suite")


def drawn(name: object, cases: Sequence[Case], count: int) -> list[Case]:
    """`count` of the cases, in their order, and all of them at night: for tests that would go through every one."""
    if examples(100) > 100 or count >= len(cases):
        return list(cases)
    return [cases[place] for place in sorted(random_of(name).sample(range(len(cases)), count))]


def examples(count: int) -> int:
    """`max_examples` of a test that draws `count` by default: fewer where each is slow, more or less by the profile."""
    return max(1, count * settings.default.max_examples // 100) if settings.default else count
