"""What an evaluation says, as the object that the command line prints as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qwen3_rag.evaluation.compared import Compared, compared
from qwen3_rag.evaluation.labels import Labels, Qrels
from qwen3_rag.evaluation.metrics import Run, Values, by_question, rounded
from qwen3_rag.evaluation.ranking import Ranked
from qwen3_rag.evaluation.significance import SEED, Difference, Numbers, compare, interval
from qwen3_rag.evaluation.threshold import separation

MOVED = 10
"""Questions shown that were helped most, and hurt most."""


def report(ranked: Sequence[Ranked], labels: Labels, top_k: int, against: Run | None = None) -> dict[str, Any]:
    """Means with intervals, the paired comparison, the ceiling of the second stage, and the questions that moved.

    Compared are the last stage and `against`, a run from a file; without one, both stages.
    """
    return report_of(compared(ranked, labels, against), top_k, against is not None)


def report_of(found: Compared, top_k: int, against: bool = False) -> dict[str, Any]:
    """The same of runs that are measured already; `against`: whether the base is a run from a file."""
    qrels, values, last = found.labels.qrels, found.values, found.runs[found.last]
    differences: dict[str, Difference] = {}
    if found.base is not None:
        differences = {name: compare(values[found.last][name], found.base[1][name]) for name in values[found.last]}
    apart = separation(qrels, found.runs["reranked"]) if "reranked" in found.runs else None
    return {
        "dense": means(values["dense"]),
        "reranked": means(values["reranked"]) if "reranked" in values else None,
        "questions": len(found.ranked),
        "seed": SEED,
        "judged@10": rounded(by_question(qrels, last, ["judged@10"])["judged@10"].mean()),
        "intervals": {
            stage: {name: list(_interval(column)) for name, column in one.items()} for stage, one in values.items()
        },
        "difference": {name: one.to_json() for name, one in differences.items()} or None,
        "against": against,
        "seconds": _seconds(found.ranked),
        "ceiling": _ceiling(qrels, found.runs["dense"], top_k),
        **_moved(found),
        "threshold": apart.to_json() if apart else None,
    }


def means(values: Values) -> dict[str, float]:
    return {name: rounded(found.mean()) for name, found in values.items()}


def failures(result: Mapping[str, Any], bounds: Mapping[str, float | None]) -> list[str]:
    """Which bounds the last stage does not hold. None as a bound: not worse than `--against` by more than its interval.

    The difference is worse by more than its interval where all of the interval is below 0.
    """
    last = result["reranked"] or result["dense"]
    said = []
    for name, bound in bounds.items():
        if bound is not None and last[name] < bound:
            said.append(f"{name} is {last[name]:.6g}, below {bound:.6g}")
        elif bound is None and (found := result["difference"][name])["high"] < 0:
            where = f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
            said.append(f"{name} is worse than the base by more than its interval: {where}, p = {found['p']:.3g}")
    return said


def _interval(values: Numbers) -> tuple[float, float]:
    low, high = interval(values)
    return rounded(low), rounded(high)


def _seconds(ranked: Sequence[Ranked]) -> dict[str, float]:
    stages = ranked[0].seconds
    return {stage: rounded(sum(one.seconds.get(stage, 0.0) for one in ranked) / len(ranked)) for stage in stages}


def _ceiling(qrels: Qrels, dense: Run, top_k: int) -> dict[str, Any]:
    """What the second stage can reach at most: it reorders candidates and finds no further ones."""
    name = f"recall@{top_k}"
    values = by_question(qrels, dense, [name])[name]
    low, high = _interval(values)
    relevant = {one: {document for document, grade in grades.items() if grade > 0} for one, grades in qrels.items()}
    missed = sum(len(documents - set(dense.get(one, {}))) for one, documents in relevant.items())
    total = sum(len(documents) for documents in relevant.values())
    return {"metric": name, "mean": rounded(values.mean()), "low": low, "high": high, "missed": missed, "of": total}


def _moved(found: Compared) -> dict[str, Any]:
    if found.base is None:
        return {"helped": [], "hurt": []}
    rows = [{name: value for name, value in row.items() if name != "value"} for row in found.rows()]
    best_first = sorted(rows, key=lambda row: -row["gain"])
    return {
        "helped": [row for row in best_first if row["gain"] > 0][:MOVED],
        "hurt": [row for row in best_first[::-1] if row["gain"] < 0][:MOVED],
    }
