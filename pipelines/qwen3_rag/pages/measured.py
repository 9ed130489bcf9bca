"""`evaluate --html`: what an evaluation found, as one page that can be mailed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qwen3_rag.pages.axes import Scale
from qwen3_rag.pages.charts import Bars, Measured, Scatter, mirrored, scatter, sorted_outline
from qwen3_rag.pages.comparison import cut
from qwen3_rag.pages.rendering import render
from qwen3_rag.query.phrasing import headline

MAX_BYTES = 300_000
_SIZES = ((250, 60, 240), (250, 40, 160), (150, 40, 120), (80, 30, 80), (40, 20, 60))
"""Questions, letters of a passage and of a question, tried until a page is small enough."""
_STAGES = ("dense", "reranked")
_LEVEL = 0.05
_QUALITY = "ndcg@10"

Object = Mapping[str, Any]


class Interval(NamedTuple):
    """A value with its ends, and their places on a strip of 144."""

    stage: str
    said: str
    at: float
    low: float
    high: float


class Metric(NamedTuple):
    """A row of the table. `difference` is None where there is nothing to compare with."""

    name: str
    stages: list[Interval]
    difference: Object | None


class Distribution(NamedTuple):
    """A stage's scores, and in words whether a threshold separates them."""

    stage: str
    bars: Bars
    relevant: int
    others: int
    verdict: str
    thresholds: Sequence[Object]


class Question(NamedTuple):
    """A question with its two lists; `bar` is what it gained, or reached, from 0 to 100."""

    text: str
    said: str
    kind: str
    bar: float
    before: Sequence[Object]
    after: Sequence[Object]


def evaluation_page(
    title: str,
    result: Object,
    rows: Sequence[Object],
    scores: Mapping[str, Object],
    facts: Mapping[str, object] | None = None,
) -> str:
    """One self-contained page of less than 300 kB.

    Args:
        result: the object of `evaluate --json`, sweeps included.
        rows: every question, as `Compared.rows` gives them.
        scores: by stage, as `histograms` gives them.

    >>> found = compared(ranked, labels)
    >>> page = evaluation_page("cranfield", report_of(found, 50), found.rows(), histograms(found))
    """
    fixed: dict[str, Any] = {
        "title": cut(title, 120),
        "result": result,
        "facts": facts or {},
        "verdict": verdict(result),
        "metrics": _metrics(result),
        "costs": list(filter(None, (_seconds(result), _bytes(result)))),
        "worth": _worth(result),
        "distributions": [_distribution(stage, one) for stage, one in scores.items()],
        "outline": None if rows[0]["gain"] is None else sorted_outline([row["gain"] for row in rows], 1000, 120),
    }
    page = ""
    for most, letters, asked in _SIZES:
        shown = [_question(row, letters, asked) for row in _most_moved(rows, most)]
        groups = {kind: [one for one in shown if one.kind == kind] for kind in ("gain", "loss", "same")}
        page = render(
            "evaluation.html", "base.css", "evaluation.css", **fixed, groups=groups, left_out=len(rows) - len(shown)
        )
        if len(page.encode()) < MAX_BYTES:
            break
    return page


def verdict(result: Object) -> str:
    """The outcome in one sentence, no stronger than the test behind it.

    >>> verdict({"difference": None, "dense": {"ndcg@10": 0.4}, "reranked": None, "questions": 9, "intervals":
    ...          {"dense": {"ndcg@10": [0.3, 0.5]}}})
    'nDCG@10 is 0.4000 [0.3000, 0.5000].'
    """
    if not result["difference"]:
        stage = "reranked" if result["reranked"] else "dense"
        return f"nDCG@10 is {_with_ends(result[stage][_QUALITY], result['intervals'][stage][_QUALITY])}."
    one = result["difference"][_QUALITY]
    ours, base = ("This run", "the other run") if result["against"] else ("Reranking", "the first stage alone")
    if one["p"] >= _LEVEL:
        said = f"No difference to {base} is shown"
    else:
        said = f"{ours} is {'better' if one['mean'] > 0 else 'worse'} than {base}"
    return f"{said}: nDCG@10 {_with_ends(one['mean'], (one['low'], one['high']), '+')}, p\u00a0=\u00a0{one['p']:.3g}."


def _metrics(result: Object) -> list[Metric]:
    strip, found = Scale(0.0, 1.0, 4.0, 140.0), []
    stages = [stage for stage in _STAGES if result[stage]]
    for name in result["dense"]:
        intervals = []
        for stage in stages:
            low, high = result["intervals"][stage][name]
            value = result[stage][name]
            said = _with_ends(value, (low, high))
            intervals.append(Interval(stage, said, strip.at(value), strip.at(low), strip.at(high)))
        found.append(Metric(name, intervals, (result["difference"] or {}).get(name)))
    return found


def _seconds(result: Object) -> Scatter:
    """Quality against the seconds of a question: both stages, and the sweep where there is one."""
    swept = result.get("sweep_top_k", {"rows": ()})["rows"]
    points = [_measured(result["seconds"]["dense"], result, "dense", "first stage", "dense")]
    if result["reranked"] and all(row["reranked"] != result["reranked"] for row in swept):
        points.append(_measured(sum(result["seconds"].values()), result, "reranked", "reranked", "reranked"))
    points += [_measured(row["seconds"], row, _last(row), f"top_k {row['top_k']}", "sweep") for row in swept]
    return scatter(points, "seconds a question")


def _bytes(result: Object) -> Scatter | None:
    if "sweep_dimensions" not in result:
        return None
    rows = result["sweep_dimensions"]["rows"]
    points = [_measured(row["bytes"] / 1e6, row, _last(row), str(row["dimensions"]), "sweep") for row in rows]
    return scatter(points, "MB of vectors a million passages, by dimensions")


def _measured(cost: float, row: Object, stage: str, name: str, kind: str) -> Measured:
    low, high = row["intervals"][stage][_QUALITY]
    return Measured(cost, row[stage][_QUALITY], low, high, name, kind)


def _last(row: Object) -> str:
    return "reranked" if row["reranked"] else "dense"


def _worth(result: Object) -> list[str]:
    """Which setting is worth what it costs, as far as the sweeps show."""
    said = []
    if "sweep_top_k" in result:
        rows = result["sweep_top_k"]["rows"]
        largest = max(rows, key=lambda row: row["top_k"])
        enough = min((row for row in rows if not _is_worse(row)), key=lambda row: row["top_k"])
        said.append(
            f"top_k {enough['top_k']} at {enough['seconds']:.3g} s a question is the smallest that is not "
            f"significantly worse than {largest['top_k']} at {largest['seconds']:.3g} s."
        )
    if "sweep_dimensions" in result:
        found = result["sweep_dimensions"]
        said.append(f"{found['smallest']} dimensions are the fewest not significantly worse than {found['full']}.")
    if said:
        said.append("p < 0.05, not corrected for the number of settings; the intervals say how much worse it may be.")
    else:
        said.append("More settings on this chart: --sweep-top-k 10,20,50 and --sweep-dimensions 64,128,256.")
    return said


def _is_worse(row: Object) -> bool:
    one = row["difference"][_QUALITY]
    return bool(one["p"] < _LEVEL and one["mean"] < 0)


def _distribution(stage: str, found: Object) -> Distribution:
    apart = found["separation"]
    thresholds: Sequence[Object] = ()
    if apart is None:
        said, mark = "There are no relevant candidates, or no others: nothing to separate.", None
    else:
        area = f"A relevant candidate scores higher than another with probability {apart['area']:.3f}"
        area += f" [{apart['low']:.3f}, {apart['high']:.3f}]"
        if not apart["separates"]:
            said, mark = f"No threshold separates them. {area}.", None
        else:
            best = max(apart["thresholds"], key=_f1)
            mark = best["score"]
            said = (
                f"{area}. From {mark:.4g} up (the line) are {best['recall']:.0%} of the relevant ones, "
                f"and {best['precision']:.0%} of what is there is relevant; of all candidates it is "
                f"{apart['precision']:.0%}."
            )
            thresholds = apart["thresholds"]
    bars = mirrored(found["edges"], found["relevant"], found["others"], mark)
    counts = (sum(found["relevant"]), sum(found["others"]))
    return Distribution(stage, bars, *counts, said, thresholds)


def _f1(row: Object) -> float:
    both = row["precision"] + row["recall"]
    return float(2 * row["precision"] * row["recall"] / both) if both else 0.0


def _most_moved(rows: Sequence[Object], most: int) -> list[Object]:
    """Best gains first; of too many those that moved least are left out."""

    def gain(row: Object) -> float:
        return float(row["value"] if row["gain"] is None else row["gain"])

    kept = sorted(rows, key=lambda row: -abs(gain(row)))[:most]
    return sorted(kept, key=lambda row: -gain(row))


def _question(row: Object, letters: int, asked: int) -> Question:
    gain = row["gain"]
    moved = row["value"] if gain is None else gain
    kind = "same" if not gain else "gain" if gain > 0 else "loss"
    said = f"{moved:.3f}" if gain is None else f"{moved:+.3f}"
    lists = [
        [
            {**one, "document": cut(one["document"], letters), "text": headline(one["text"] or "", letters)}
            for one in rows
        ]
        for rows in (row["before"], row["after"])
    ]
    return Question(cut(row["question"], asked), said, kind, round(abs(moved) * 100, 1), *lists)


def _with_ends(value: float, ends: Sequence[float], sign: str = "") -> str:
    low, high = ends
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"
