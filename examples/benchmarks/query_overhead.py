"""What the pipeline adds to a question: everything but the two models' forwards and Milvus' search.

    python examples/benchmarks/query_overhead.py

Runs a whole `search` (retriever, reranker adapter, result rows) on real small checkpoints. The time inside the engines
and inside the Milvus client is taken off each question; what is left is printed at p50 and p95.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from pymilvus.client.grpc_handler import GrpcHandler
from qwen3_inference import TorchEmbeddingEngine, TorchRerankEngine
from qwen3_rag import RagConfig, ingest, load_models, make_retriever, open_store, search
from qwen3_rag.cli.demo import DEMO_QUESTIONS

inside = 0.0


def timed(owner: type, name: str) -> None:
    """Add the time spent in `owner.name` to `inside`."""
    original: Callable[..., Any] = getattr(owner, name)

    def around(*args: Any, **kwargs: Any) -> Any:
        global inside
        started = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            inside += time.perf_counter() - started

    setattr(owner, name, around)


def main(questions: int, embed_model: str) -> None:
    global inside
    timed(TorchEmbeddingEngine, "embed_queries")
    timed(TorchRerankEngine, "score")
    timed(GrpcHandler, "search")
    with tempfile.TemporaryDirectory() as scratch:
        config = RagConfig(embed_model=embed_model, uri=f"{scratch}/overhead.db")
        models = load_models(config)
        store = open_store(config, models.identity, create=True)
        from pathlib import Path

        import qwen3_rag

        ingest([Path(qwen3_rag.__file__).parent / "knowledge"], store=store, embed_model=models.embed)
        retriever = make_retriever(config, store, models.embed)
        overhead, total = [], []
        for number in range(questions + 5):
            question = f"{DEMO_QUESTIONS[number % len(DEMO_QUESTIONS)]} {number}"  # never the same twice
            inside, started = 0.0, time.perf_counter()
            search(question, retriever, models.rerank)
            seconds = time.perf_counter() - started
            if number >= 5:
                overhead.append((seconds - inside) * 1000)
                total.append(seconds * 1000)
        store.close()
    ordered = sorted(overhead)
    result = {
        "questions": questions,
        "total_ms_p50": round(statistics.median(total), 2),
        "overhead_ms_p50": round(statistics.median(overhead), 2),
        "overhead_ms_p95": round(ordered[int(len(ordered) * 0.95)], 2),
    }
    print("            p50 ms   p95 ms")
    print(f"overhead  {result['overhead_ms_p50']:8.2f} {result['overhead_ms_p95']:8.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--embed-model", default="tiny")
    arguments = parser.parse_args()
    main(arguments.questions, arguments.embed_model)
