"""How fast the local engine is beside its peers: one table, then one JSON line.

    python examples/benchmarks/speed.py
    python examples/benchmarks/speed.py --abstracts 20 --peers-python PEERS/bin/python     # a quarter of an hour
    python examples/benchmarks/speed.py --only rerank-passages embed-query --repeats 5
    python examples/benchmarks/speed.py --vllm-embed-url http://127.0.0.1:8001 --vllm-rerank-url http://127.0.0.1:8002

All methods read the same random-weight checkpoint of the official shape and the same texts, in the same dtype, each in
a process of its own. Rounds are interleaved (every method once, then again with texts that none has seen) and a figure
is the median of the rounds; ratios are taken within a round and then their median. A method's results are compared
with those of transformers in float32 on texts of their own before anything is timed, which also warms it up.

A row of the JSON has what the table shows and the seconds of every round. "share" is useful FLOPs over time over the
rate of bare matrix products measured in the same round: `cost.py` says what is counted.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from cost import cost_of
from machine import add_run_options, describe, finish_options
from report import heading, json_line, number, percent, table
from shapes import KINDS, SHAPES, make_checkpoint
from texts import Work, source, works
from worker import Here, MethodError, Setting, Worker

METHODS = ("ours", "tutorial", "sentence-transformers", "llamaindex", "openvino", "openvino-int8", "llama.cpp", "vllm")
OF_ANOTHER_VENV = ("openvino", "openvino-int8")
"""optimum-intel needs an older transformers than ours."""
TITLES = {
    ("ours", "reranker"): "Qwen3Rerank (ours)",
    ("ours", "embedding"): "Qwen3Embedding (ours)",
    ("tutorial", "reranker"): "transformers, the tutorial's code",
    ("sentence-transformers", "reranker"): "CrossEncoder.predict",
    ("sentence-transformers", "embedding"): "SentenceTransformer.encode",
    ("llamaindex", "reranker"): "SentenceTransformerRerank",
    ("llamaindex", "embedding"): "HuggingFaceEmbedding",
    **{("openvino", kind): "OpenVINO" for kind in KINDS},
    **{("openvino-int8", kind): "OpenVINO, int8 weights" for kind in KINDS},
    **{("llama.cpp", kind): "llama.cpp, Q8_0" for kind in KINDS},
    ("vllm", "reranker"): "vLLM server",
    ("vllm", "embedding"): "vLLM server",
}


@dataclass
class Measured:
    """One method's rounds of one row."""

    method: str
    passed: str
    errors: list[float]
    seconds: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    memory: float | None = None


def measure(work: Work, options: argparse.Namespace) -> tuple[list[Measured], dict[str, Any]]:
    """All methods on one row; what could not be loaded is named on stderr and left out."""
    folder = make_checkpoint(work.kind, options.shape, options.checkpoints, options.tokenizers)
    place = Here if options.same_process else Worker
    with place(_setting("reference", work, folder, options)) as reference:
        expected = reference.run(work.check, results=True)["results"]
    ceilings, tokens = [], []
    with ExitStack() as stack:
        running: list[tuple[Measured, Here | Worker]] = []
        for worker in _started(work, folder, options):
            stack.enter_context(worker)
            found = worker.run(work.check, results=True)["results"]
            running.append((Measured(worker.setting.method, worker.passed, list(_gaps(found, expected))), worker))
        gemm = stack.enter_context(place(_setting("gemm", work, folder, options)))
        for turn in range(options.repeats):
            jobs = work.jobs(turn)
            costs = [cost_of(job, work.kind, SHAPES[options.shape], folder) for job in jobs]
            useful, flops = (sum(getattr(cost, name) for cost in costs) / len(jobs) for name in ("tokens", "flops"))
            ceilings.append(gemm.ceiling(_row_counts(round(useful), options.device)))
            tokens.append(useful)
            at = turn % len(running)
            for measured, worker in running[at:] + running[:at]:  # each method goes first once
                answer = worker.run(jobs)
                seconds = median(answer["seconds"])
                measured.seconds.append(seconds)
                measured.rates.append(useful / seconds)
                measured.shares.append(flops / seconds / ceilings[-1])
                measured.busy.append(answer["busy_cores"])
                measured.memory = None if measured.method == "vllm" else answer["memory_mib"]
    return [measured for measured, _ in running], {"tokens": tokens, "ceilings": ceilings}


def _started(work: Work, folder: Path, options: argparse.Namespace) -> Iterator[Here | Worker]:
    url = options.vllm_rerank_url if work.kind == "reranker" else options.vllm_embed_url
    for method in options.methods:
        if (method, work.kind) not in TITLES or (method == "vllm" and not url):
            continue
        setting = _setting(method, work, folder, options, url or "")
        try:
            if options.same_process:
                yield Here(setting)
            else:
                yield Worker(setting, options.peers_python if method in OF_ANOTHER_VENV else sys.executable)
        except MethodError as error:
            print(f"{work.name}, {method} left out: {error}", file=sys.stderr)


def _setting(method: str, work: Work, folder: Path, options: argparse.Namespace, url: str = "") -> Setting:
    return Setting(method, work.kind, str(folder), options.shape, options.device, options.dtype, options.threads, url)


def _row_counts(tokens: int, device: str) -> list[int]:
    """Numbers of rows to try for the ceiling of a job with so many tokens; on a CPU the rate is flat from 256 on."""
    largest = 16384 if device.startswith("cuda") else 2048
    return [tokens] if tokens < 512 else [512, *(rows for rows in (1024, 2048, 8192) if rows < largest), largest]


def _gaps(found: Any, expected: Any) -> Iterator[float]:
    """The absolute differences between two equally nested lists of numbers."""
    if isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            yield from _gaps(one, other)
    else:
        yield abs(found - expected)


def summarise(work: Work, rounds: list[Measured], shared: dict[str, Any]) -> list[dict[str, Any]]:
    """One record per method; the first method is what the others are held against."""
    return [
        {
            "work": work.name,
            "method": one.method,
            "title": TITLES[one.method, work.kind],
            "seconds": median(one.seconds),
            "tokens_per_second": median(one.rates),
            "ratio": median(own / first for own, first in zip(one.seconds, rounds[0].seconds, strict=True)),
            "share": median(one.shares),
            "memory_mib": one.memory,
            "error": max(one.errors),
            "mean_error": mean(one.errors),
            "busy_cores": None if one.method == "vllm" else median(one.busy),
            "passed": one.passed,
            "seconds_by_round": one.seconds,
            "tokens_by_round": shared["tokens"],
            "ceiling_gflops_by_round": [ceiling / 1e9 for ceiling in shared["ceilings"]],
        }
        for one in rounds
    ]


def show(work: Work, rows: list[dict[str, Any]]) -> str:
    ceiling, tokens = (median(rows[0][name]) for name in ("ceiling_gflops_by_round", "tokens_by_round"))
    head = [
        "",
        "seconds",
        "useful tokens/s",
        "times ours",
        "of the ceiling",
        "peak MiB",
        "worst error",
        "mean",
        "passed",
    ]
    lines = [
        [
            row["title"],
            number(row["seconds"]),
            number(row["tokens_per_second"]),
            number(row["ratio"]),
            percent(row["share"]),
            number(row["memory_mib"], 4),
            number(row["error"], 2),
            number(row["mean_error"], 2),
            row["passed"],
        ]
        for row in rows
    ]
    title = f"{work.title}: {tokens:,.0f} useful tokens, ceiling {ceiling:,.0f} GFLOP/s"
    return f"\n### {title}\n\n{table(head, lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_options(parser, repeats=3)
    parser.add_argument("--only", nargs="+", choices=list(works()), default=list(works()), help="rows to measure")
    parser.add_argument("--passages", type=int, default=10, help="FAQ passages of a call (10)")
    parser.add_argument("--abstracts", type=int, default=100, help="abstracts of a call (100)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="the first is the yardstick")
    parser.add_argument("--vllm-embed-url", help="a vLLM server with the embedding checkpoint")
    parser.add_argument("--vllm-rerank-url", help="a vLLM server with the reranker checkpoint")
    parser.add_argument("--peers-python", default=sys.executable, help="the Python of OpenVINO's venv: see peers.py")
    parser.add_argument("--same-process", action="store_true", help="no process per method, and no memory figures")
    options = finish_options(parser.parse_args())
    sizes = (3, 6, 2) if options.quick else (options.passages, options.abstracts)
    rows_of_work = works(*sizes)
    machine = describe(options)
    print(f"{heading(machine)}\ntexts: {source()}; {options.repeats} rounds", flush=True)
    rows: list[dict[str, Any]] = []
    for name in options.only:
        work = rows_of_work[name]
        rows += (measured := summarise(work, *measure(work, options)))
        print(show(work, measured), flush=True)
    print(f"\n{json_line(machine, rows, texts=source(), repeats=options.repeats)}")


if __name__ == "__main__":
    main()
