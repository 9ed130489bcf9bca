"""An ingest on Ray against one process on the same machine: rate, and memory of the driver. Needs the extra `ray`.

    python examples/benchmarks/ray_ingest.py --passages 100000 --embed-model tiny --workers 2

Each way fills a collection of its own on a `milvus-lite server`, with one writer, from one BEIR corpus. The one process
computes with all cores, Ray's workers with one core each. Ends with a JSON line.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import torch
from ingest_memory import resident_mib, start_server, write_corpus
from machine import available_cores
from packages import versions
from qwen3_rag import RagConfig, Session
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.scale.files import ingest_files
from qwen3_rag.scale.ray_engine import RayEngine
from qwen3_rag.scale.settings import Settings


class Memory:
    """Samples this process's resident memory, ten times a second, until the block ends."""

    def __enter__(self) -> "Memory":
        self.samples = [resident_mib()]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._end.wait(0.1):
            self.samples.append(resident_mib())

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def figures(self) -> dict[str, float]:
        """In MiB, at fifths of the time."""
        last = len(self.samples) - 1
        return {f"mib_at_{part * 20}_percent": round(self.samples[last * part // 5], 1) for part in range(6)}


def figures(report: IngestReport, seconds: float) -> dict[str, float]:
    return {
        "written": report.written,
        "seconds": round(seconds, 1),
        "passages_per_second": round(report.written / seconds, 1),
    }


def on_ray(config: RagConfig, corpus: Path, folder: Path, workers: int, shard_size: int) -> dict[str, float]:
    engine = RayEngine(workers=workers)
    engine.connect()  # a cluster is there before the work
    started = time.perf_counter()
    with Memory() as memory:
        report = ingest_files([corpus], config, engine, Settings(str(folder / "work"), shard_size))
    return {**figures(report, time.perf_counter() - started), **memory.figures()}


def in_one_process(config: RagConfig, corpus: Path) -> dict[str, float]:
    torch.set_num_threads(available_cores())
    started = time.perf_counter()
    with Session(config) as session:
        report = session.ingest([corpus])
    return figures(report, time.perf_counter() - started)


def main(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpus = folder / "corpus.jsonl"
        write_corpus(corpus, options.passages)
        server, uri = start_server(folder)
        try:
            base = {"uri": uri, "embed_model": options.embed_model, "device": "cpu"}
            runs = {
                f"ray, {options.workers} workers": on_ray(
                    RagConfig(collection="ray", **base), corpus, folder, options.workers, options.shard_size
                )
            }
            print(json.dumps(runs), file=sys.stderr, flush=True)
            runs["one process"] = in_one_process(RagConfig(collection="local", **base), corpus)
        finally:
            server.terminate()
            server.wait()
        print(
            json.dumps(
                {
                    "passages": options.passages,
                    "embed_model": options.embed_model,
                    "cores": available_cores(),
                    "versions": versions("ray", "torch", "milvus-lite", "llama-index-qwen3"),
                    **runs,
                }
            )
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--embed-model", default="tiny")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard-size", type=int, default=1_024)
    main(parser.parse_args())
