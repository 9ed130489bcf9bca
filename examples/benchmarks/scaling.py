"""Whether cost grows with the work: seconds for 10, 100, 1000 passages, and for longer and longer ones.

    python examples/benchmarks/scaling.py
    python examples/benchmarks/scaling.py --only rerank --sizes 10 100

Sizes take turns within a round, and every call has fresh texts. Linear means that the rate of useful tokens stays: its
change against the first line is the last column. Longer passages have more attention to compute, which no method
avoids; that is the fall to expect in the second table.
"""

import argparse
from functools import partial
from statistics import median
from typing import Any

from cost import cost_of
from machine import add_run_options, describe, finish_options
from report import heading, json_line, number, percent, table
from shapes import SHAPES, make_checkpoint
from texts import UNTIMED, Job, deal, one_query
from worker import Setting, Worker

KINDS = {"rerank": "reranker", "embed": "embedding"}


def job_of(what: str, turn: int, passages: int, joined: int = 1) -> Job:
    """`passages` of them, each made of `joined` FAQ passages one after another."""
    pieces = deal("passages", passages * joined, turn)
    texts = tuple("\n\n".join(pieces[at::passages]) for at in range(passages))
    return Job(one_query("passages", turn) if what == "rerank" else "", texts)


def measure(what: str, series: dict[str, dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """One record per size of each series; a series' values make the job of a round."""
    kind, shape = KINDS[what], SHAPES[options.shape]
    folder = make_checkpoint(kind, options.shape, options.checkpoints, options.tokenizers)
    settings = (options.shape, options.device, options.dtype, options.threads)
    found: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
    with Worker(Setting("ours", kind, str(folder), *settings)) as worker:
        worker.run([job_of(what, UNTIMED, 4)])
        for turn in range(options.repeats):
            for title, jobs in series.items():
                for size, make in jobs.items():
                    job = make(turn)
                    answer = worker.run([job])
                    tokens = cost_of(job, kind, shape, folder).tokens
                    rounds = found.setdefault((title, size), [])
                    rounds.append((tokens, answer["seconds"][0], answer["memory_mib"]))
    rates = {key: median(tokens / seconds for tokens, seconds, _ in rounds) for key, rounds in found.items()}
    return [
        {
            "work": what,
            "series": title,
            "size": size,
            "tokens": median(tokens for tokens, _, _ in rounds),
            "seconds": median(seconds for _, seconds, _ in rounds),
            "tokens_per_second": rates[title, size],
            "against_first": rates[title, size] / rates[title, next(iter(series[title]))],
            "memory_mib": rounds[0][2],
        }
        for (title, size), rounds in found.items()
    ]


def show(title: str, rows: list[dict[str, Any]]) -> str:
    head = ["", "useful tokens", "seconds", "useful tokens/s", "peak MiB", "rate against the first line"]
    lines = [
        [
            row["size"],
            f"{row['tokens']:,.0f}",
            number(row["seconds"]),
            number(row["tokens_per_second"]),
            number(row["memory_mib"], 4),
            percent(row["against_first"]),
        ]
        for row in rows
    ]
    return f"\n### {title}\n\n{table(head, lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_options(parser, repeats=1)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 100, 1000], help="numbers of passages")
    parser.add_argument("--joined", nargs="+", type=int, default=[1, 4, 16], help="passages joined into one")
    options = finish_options(parser.parse_args())
    if options.quick:
        options.sizes, options.joined = [2, 4], [1, 2]
    machine = describe(options)
    print(heading(machine), flush=True)
    rows: list[dict[str, Any]] = []
    for what in options.only:
        # Turns are shifted from size to size: the same passages must not come back in a larger call.
        series = {
            "more passages": {
                f"{count} passages": partial(_shifted, what, at, count, 1) for at, count in enumerate(options.sizes)
            },
            "longer passages": {
                f"10 times {count} joined": partial(_shifted, what, 50 + at, 10, count)
                for at, count in enumerate(options.joined)
            },
        }
        rows += (measured := measure(what, series, options))
        for title in series:
            print(show(f"{what}: {title}", [row for row in measured if row["series"] == title]), flush=True)
    print(f"\n{json_line(machine, rows)}")


def _shifted(what: str, shift: int, passages: int, joined: int, turn: int) -> Job:
    return job_of(what, 100 * shift + turn, passages, joined)


if __name__ == "__main__":
    main()
