"""Memory of an ingest: flat at any corpus size? Writes N passages of a BEIR corpus to a Milvus server.

    python examples/benchmarks/ingest_memory.py --passages 100000

The embedding is a fixed random projection of small dimension, so that the pipeline is what is measured. The server
is a process of its own with its own memory; with `--lite` the database runs in this process, and its rows count here.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from qwen3_rag import ModelIdentity, RagConfig, ingest, open_store
from qwen3_rag.ingestion.report import Progress

DIMENSION = 32
WORDS = [f"word{number}" for number in range(5000)]


class Projection(BaseEmbedding):
    """A vector from the text's hash: costs nothing, stays the same."""

    embed_batch_size: int = 2048

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = np.random.default_rng(abs(hash(text)) % 2**32).standard_normal(DIMENSION)
        return list(vector / np.linalg.norm(vector))

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def write_corpus(path: Path, passages: int) -> None:
    chance = random.Random(0)
    with path.open("w") as lines:
        for number in range(passages):
            text = " ".join(chance.choices(WORDS, k=60))
            lines.write(json.dumps({"_id": str(number), "title": f"Passage {number}", "text": text}) + "\n")


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder / "data")]
    server = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL)
    while socket.socket().connect_ex(("127.0.0.1", port)):
        time.sleep(0.2)
    return server, f"http://127.0.0.1:{port}"


def main(passages: int, lite: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_corpus(folder / "corpus.jsonl", passages)
        server, uri = (None, f"{scratch}/memory.db") if lite else start_server(folder)
        try:
            identity = ModelIdentity("projection", "1", DIMENSION)
            store = open_store(RagConfig(uri=uri, embed_model="tiny"), identity, create=True)
            samples: list[tuple[int, float]] = []

            def sample(state: Progress) -> None:
                if state.passages >= len(samples) * passages / 10:
                    samples.append((state.passages, resident_mib()))
                    print(f"{state.passages:8d} passages  {samples[-1][1]:8.1f} MiB", flush=True)

            runs = {}
            for name in ("first run", "second run, nothing changed"):
                samples.clear()
                print(name)
                report = ingest(
                    [folder / "corpus.jsonl"], store=store, embed_model=Projection(), batch_size=500, on_progress=sample
                )
                used = [mib for _, mib in samples]
                runs[name] = {
                    "passages": report.written + report.kept,
                    "written": report.written,
                    "seconds": round(report.seconds, 1),
                    "passages_per_second": round((report.written + report.kept) / report.seconds),
                    "mib_after_10_percent": round(used[1], 1),
                    "mib_at_the_end": round(used[-1], 1),
                }
            print(json.dumps({"database": "lite" if lite else "server", "dimension": DIMENSION, **runs}))
            store.close()
        finally:
            if server:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--lite", action="store_true")
    arguments = parser.parse_args()
    main(arguments.passages, arguments.lite)
