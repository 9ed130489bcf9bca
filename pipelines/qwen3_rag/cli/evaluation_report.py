"""An evaluation in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from qwen3_rag.cli.console import out
from qwen3_rag.evaluation.significance import Difference
from qwen3_rag.query.phrasing import headline

_FEW = 20


def print_evaluation(result: Mapping[str, Any]) -> None:
    """All that `evaluate` found, as tables and lines."""
    stages = {name: result[name] for name in ("dense", "reranked") if result[name]}
    table = Table("metric", *stages, title=f"{result['questions']} questions", title_justify="left")
    for name in next(iter(stages.values())):
        cells = (_with_interval(one[name], result["intervals"][stage][name]) for stage, one in stages.items())
        table.add_row(name, *cells)
    out.print(table)
    if result["difference"]:
        print_difference("last stage minus --against" if result["against"] else "reranked minus dense", result)
    _print_lines(result)
    for name, title in (("helped", "Most helped"), ("hurt", "Most hurt")):
        _print_moved(title, result[name])
    _print_threshold(result["threshold"])
    for name, first in (("sweep_dimensions", "dimensions"), ("sweep_top_k", "top_k")):
        if name in result:
            print_sweep(first, result[name])


def print_difference(title: str, result: Mapping[str, Any]) -> None:
    """The paired comparison, a line a metric."""
    rows = {name: Difference(**one).cells() for name, one in result["difference"].items()}
    table = Table(title, *next(iter(rows.values())))
    for name, cells in rows.items():
        table.add_row(name, *map(escape, cells.values()))
    out.print(table)


def print_sweep(first: str, sweep: Mapping[str, Any]) -> None:
    """One row a value; the differences are of nDCG@10 of the last stage, against the largest value."""
    columns = ["dense ndcg@10", "reranked ndcg@10", "difference", "p"]
    table = Table(first, *columns, "MB a million" if first == "dimensions" else "s a question")
    for row in sweep["rows"]:
        one = row["difference"]["ndcg@10"]
        cells = [
            _with_interval(row[stage]["ndcg@10"], row["intervals"][stage]["ndcg@10"]) if row[stage] else "-"
            for stage in ("dense", "reranked")
        ]
        cost = f"{row['bytes'] / 1e6:,.0f}" if first == "dimensions" else f"{row['seconds']:.3f}"
        difference = f"{one['mean']:+.4f} {_interval(one['low'], one['high'], '+')}"
        table.add_row(str(row[first]), *cells, difference, f"{one['p']:.3g}", cost)
    out.print(table)
    if "smallest" in sweep:
        out.print(
            f"Smallest size that is not significantly worse than {sweep['full']}: {sweep['smallest']} (p >= 0.05, not "
            "corrected for the number of sizes; the interval says how much worse it may be)"
        )


def _print_lines(result: Mapping[str, Any]) -> None:
    ceiling, seconds = result["ceiling"], result["seconds"]
    shown = _with_interval(ceiling["mean"], (ceiling["low"], ceiling["high"]))
    out.print(
        f"Ceiling of the second stage: {ceiling['metric']} {shown}; {ceiling['missed']} of {ceiling['of']} relevant "
        "documents are not among the candidates"
    )
    out.print(f"judged@10 {result['judged@10']:.4f} (what nobody judged counts as wrong)")
    out.print("Seconds a question: " + ", ".join(f"{stage} {value:.3f}" for stage, value in seconds.items()))
    out.print(f"Intervals: bootstrap; p: paired randomisation; seed {result['seed']}")
    if result["questions"] < _FEW:
        out.print(f"{result['questions']} questions are few: only large differences can show")


def _print_moved(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        out.print(f"\n[bold]{title}[/bold] (nDCG@10)")
    for row in rows:
        out.print(f"{row['gain']:+.4f} {escape(row['question'])}")
        for when in ("before", "after"):
            for one in row[when]:
                mark = "[green]+[/green]" if one["relevant"] else " "
                said = escape(f"{one['document']}: {headline(one['text'] or '')}")
                out.print(f"  {when:6} {one['rank']:>3} {mark} {said}")


def _print_threshold(found: Mapping[str, Any] | None) -> None:
    if found is None:
        return
    area = f"area under ROC {_with_interval(found['area'], (found['low'], found['high']))}"
    if not found["separates"]:
        out.print(f"\nNo score_threshold separates relevant candidates from others: {area}")
        return
    out.print(f"\n[bold]score_threshold[/bold] ({area}; without one, precision {found['precision']:.4f})")
    table = Table("score_threshold", "precision", "recall of the candidates")
    for row in found["thresholds"]:
        table.add_row(f"{row['score']:.6g}", f"{row['precision']:.4f}", f"{row['recall']:.4f}")
    out.print(table)


def _with_interval(value: float, ends: Sequence[float]) -> str:
    low, high = ends
    return f"{value:.4f} {_interval(low, high)}"


def _interval(low: float, high: float, sign: str = "") -> str:
    return escape(f"[{low:{sign}.4f}, {high:{sign}.4f}]")
