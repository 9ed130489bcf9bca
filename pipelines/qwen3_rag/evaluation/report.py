"""What an evaluation says, as the object that the command line prints as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.labels import Labels, Qrels
from qwen3_rag.evaluation.metrics import METRICS, Run, Values, by_question, order, rounded
from qwen3_rag.evaluation.ranking import SHOWN, Ranked, runs_of
from qwen3_rag.evaluation.significance import SEED, Difference, Numbers, compare, interval
from qwen3_rag.evaluation.threshold import separation
from qwen3_rag.evaluation.trec import with_trec_ids

MOVED = 10
"""Questions shown that were helped most, and hurt most."""


def report(ranked: Sequence[Ranked], labels: Labels, top_k: int, against: Run | None = None) -> dict[str, Any]:
    """Means with intervals, the paired comparison, the ceiling of the second stage, and the questions that moved.

    Compared are the last stage and `against`, a run from a file; without one, both stages.
    """
    labels = labels.only(one.id for one in ranked)
    dense, reranked = runs_of(ranked)
    last = dense if reranked is None else reranked
    values = {name: by_question(labels.qrels, run) for name, run in (("dense", dense), ("reranked", reranked)) if run}
    base_run, base = (None if reranked is None else dense), values["dense"]
    if against is not None:
        base_run, base = _named_as_here(labels.qrels, against)
    ours = values.get("reranked", values["dense"])
    moved: dict[str, Any] = {"helped": [], "hurt": []}
    differences: dict[str, Difference] = {}
    if base_run is not None:
        differences = {name: compare(ours[name], base[name]) for name in METRICS}
        moved = _moved(labels, ranked, base_run, last, ours[METRICS[0]] - base[METRICS[0]])
    found = separation(labels.qrels, reranked) if reranked else None
    return {
        "dense": means(values["dense"]),
        "reranked": means(values["reranked"]) if reranked else None,
        "questions": len(ranked),
        "seed": SEED,
        "judged@10": rounded(by_question(labels.qrels, last, ["judged@10"])["judged@10"].mean()),
        "intervals": {stage: {name: list(_interval(one[name])) for name in METRICS} for stage, one in values.items()},
        "difference": {name: one.to_json() for name, one in differences.items()} or None,
        "against": against is not None,
        "seconds": _seconds(ranked),
        "ceiling": _ceiling(labels.qrels, dense, top_k),
        **moved,
        "threshold": found.to_json() if found else None,
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


def _named_as_here(qrels: Qrels, against: Run) -> tuple[Run, Values]:
    """A run from a file, by question and measured; files write names without spaces."""
    named = with_trec_ids(qrels)
    if not set(named) & set(against):
        asked, other = next(iter(named)), next(iter(against))
        raise ConfigError(f"--against has none of the questions (here {asked!r}, there {other!r}); give a run of these")
    judged = {question: {name: int(grade) for name, grade in grades.items()} for question, grades in named.items()}
    places = dict(zip(named, qrels, strict=True))
    return {places[one]: run for one, run in against.items() if one in places}, by_question(judged, against)


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


def _moved(labels: Labels, ranked: Sequence[Ranked], base: Run, last: Run, gains: Numbers) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "question": labels.queries[one.id],
            "gain": rounded(gain),
            "before": _top(labels, one, base.get(one.id, {})),
            "after": _top(labels, one, last[one.id]),
        }
        for one, gain in zip(ranked, gains, strict=True)
    ]
    best_first = sorted(rows, key=lambda row: -row["gain"])
    return {
        "helped": [row for row in best_first if row["gain"] > 0][:MOVED],
        "hurt": [row for row in best_first[::-1] if row["gain"] < 0][:MOVED],
    }


def _top(labels: Labels, ranked: Ranked, scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """The first passages of a list, and the first relevant one where it stands further down."""
    grades = labels.qrels[ranked.id]
    listed = [(place, name, grades.get(name, 0)) for place, name in enumerate(order(scores), 1)]
    relevant = next((one for one in listed[SHOWN:] if one[2] > 0), None)
    shown = listed[:SHOWN]
    if relevant and not any(grade > 0 for _, _, grade in shown):
        shown.append(relevant)
    return [
        {"rank": place, "document": name, "relevant": grade > 0, "text": ranked.passages.get(name)}
        for place, name, grade in shown
    ]
