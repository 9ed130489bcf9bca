"""Many queries at once: do they keep the machine as busy as one large call, and at what latency?

    python examples/benchmarks/concurrency.py
    python examples/benchmarks/concurrency.py --queries 64 --passages 10

Queries, each with passages of its own, go through one `Qwen3Rerank` and one `Qwen3Embedding`: one after another, all
at once from a thread pool, all at once in an event loop, and for embedding as one call of the engine. Every way gets
other texts. "busy cores" is processor time over time.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from cost import cost_of, synchronise
from machine import add_run_options, describe, finish_options
from report import heading, json_line, number, table
from shapes import SHAPES, make_checkpoint
from texts import UNTIMED, Job, deal, one_query

Way = Callable[[Sequence[Job]], object]


def rerank_ways(options: argparse.Namespace, folder: str) -> dict[str, Way]:
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

    reranker = Qwen3Rerank(folder, top_n=3, device=options.device, dtype=options.dtype)

    def nodes(job: Job) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=text)) for text in job.texts]

    def one(job: Job) -> object:
        return reranker.postprocess_nodes(nodes(job), query_str=job.query)

    async def all_at_once(jobs: Sequence[Job]) -> None:
        await asyncio.gather(*(reranker.apostprocess_nodes(nodes(job), query_str=job.query) for job in jobs))

    return _ways(one, all_at_once)


def embed_ways(options: argparse.Namespace, folder: str) -> dict[str, Way]:
    from llama_index.embeddings.qwen3 import Qwen3Embedding
    from qwen3_inference import LocalSettings, TorchEmbeddingEngine

    engine = TorchEmbeddingEngine(LocalSettings(folder, "embedding", device=options.device, dtype=options.dtype))
    model = Qwen3Embedding(engine=engine)

    async def all_at_once(jobs: Sequence[Job]) -> None:
        await asyncio.gather(*(model.aget_query_embedding(job.query) for job in jobs))

    return {
        **_ways(lambda job: model.get_query_embedding(job.query), all_at_once),
        "one call of the engine": lambda jobs: engine.embed_queries([job.query for job in jobs]),
    }


def _ways(one: Callable[[Job], object], all_at_once: Callable[[Sequence[Job]], Any]) -> dict[str, Way]:
    def from_threads(jobs: Sequence[Job]) -> None:
        with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
            list(pool.map(one, jobs))

    return {
        "one after another": lambda jobs: [one(job) for job in jobs],
        "from threads": from_threads,
        "in an event loop": lambda jobs: asyncio.run(all_at_once(jobs)),
    }


def measure(kind: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One record per way of asking; the ways take turns within a round."""
    folder = make_checkpoint(kind, options.shape, options.checkpoints, options.tokenizers)
    ways = (rerank_ways if kind == "reranker" else embed_ways)(options, str(folder))
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for way in ways.values():
        way(_jobs(kind, UNTIMED, 2, 2))
    for turn in range(options.repeats):
        for number_of_way, (name, way) in enumerate(ways.items()):
            jobs = _jobs(kind, turn * len(ways) + number_of_way, options.queries, options.passages)
            tokens = sum(cost_of(job, kind, SHAPES[options.shape], folder).tokens for job in jobs)
            used, start = time.process_time(), time.perf_counter()
            way(jobs)
            synchronise(options.device)
            seconds = time.perf_counter() - start
            found[name].append((seconds, tokens / seconds, (time.process_time() - used) / seconds))
    columns = ("seconds", "tokens_per_second", "busy_cores")
    return [
        {"work": kind, "way": name, "queries": options.queries}
        | {column: median(one[at] for one in rounds) for at, column in enumerate(columns)}
        for name, rounds in found.items()
    ]


def _jobs(kind: str, turn: int, queries: int, passages: int) -> list[Job]:
    turns = range(turn * queries, (turn + 1) * queries)
    if kind == "embedding":
        return [Job(one_query("abstracts", each)) for each in turns]
    return [Job(one_query("passages", each), deal("passages", passages, each)) for each in turns]


def show(title: str, rows: list[dict[str, Any]]) -> str:
    head = ["", "seconds", "queries/s", "useful tokens/s", "busy cores"]
    lines = [
        [
            row["way"],
            number(row["seconds"]),
            number(row["queries"] / row["seconds"]),
            number(row["tokens_per_second"]),
            number(row["busy_cores"]),
        ]
        for row in rows
    ]
    return f"\n### {title}\n\n{table(head, lines)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_options(parser, repeats=2)
    parser.add_argument("--queries", type=int, default=16)
    parser.add_argument("--passages", type=int, default=10)
    options = finish_options(parser.parse_args())
    if options.quick:
        options.queries, options.passages = 3, 2
    import torch

    torch.set_num_threads(options.threads)
    machine = describe(options)
    print(heading(machine), flush=True)
    reranked, embedded = measure("reranker", options), measure("embedding", options)
    print(show(f"{options.queries} queries, {options.passages} FAQ passages each, to rerank", reranked))
    print(show(f"{options.queries} queries to embed", embedded))
    print(f"\n{json_line(machine, reranked + embedded)}")


if __name__ == "__main__":
    main()
