"""What one changed file costs in a small and in a large collection: `incremental_cost.py [--rows N N] [--uri URI]`.

Fills a collection with files of 20 passages, changes one, and times its ingest from an open store to the end; then the
list of documents and `info`. Vectors come from hashed words, so that what is timed is the pipeline and the database.
Without --uri on Milvus Lite in a temporary folder. Prints a table and one line of JSON.
"""

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from qwen3_rag import ModelIdentity, RagConfig, ingest, open_store
from qwen3_rag.store.opening import drop_collection

PASSAGES, DIMENSION, TRIES = 20, 256, 5
IDENTITY = ModelIdentity("hashed words", "1", DIMENSION)


class HashedWords(BaseEmbedding):
    """A vector of random numbers that the text decides."""

    embed_batch_size: int = 2048

    def _get_text_embedding(self, text: str) -> list[float]:
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        vector = np.random.default_rng(seed).standard_normal(DIMENSION)
        found: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return found

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def text_of(number: int, change: str = "") -> str:
    return "".join(
        f"## Section {i}\n\nFile {number}, part {i}. {change if i == 3 else ''}\n\n" for i in range(PASSAGES)
    )


def measure(rows: int, uri: str | None, folder: Path) -> dict[str, float]:
    docs = folder / f"docs{rows}"
    docs.mkdir()
    for number in range(rows // PASSAGES):
        (docs / f"{number}.md").write_text(text_of(number))
    config = RagConfig(uri=uri or str(folder / f"{rows}.db"), collection=f"cost_{rows}", embed_model="tiny")
    store = open_store(config, IDENTITY, overwrite=True)
    started = time.perf_counter()
    ingest([docs], store=store, embed_model=HashedWords())
    filled = time.perf_counter() - started
    changed, sources = [], []
    for attempt in range(TRIES):
        (docs / "7.md").write_text(text_of(7, f"change {attempt}"))
        started = time.perf_counter()
        report = ingest([docs / "7.md"], store=store, embed_model=HashedWords())
        changed.append(time.perf_counter() - started)
        assert (report.written, report.deleted) == (1, 1), report
        started = time.perf_counter()
        assert len(store.count_sources()) == rows // PASSAGES
        sources.append(time.perf_counter() - started)
    store.close()
    drop_collection(config)
    return {
        "rows": rows,
        "fill_s": round(filled, 2),
        "changed_file_s": round(statistics.median(changed), 4),
        "sources_s": round(statistics.median(sources), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[3_000, 45_000])
    parser.add_argument("--uri", help="a Milvus server; Milvus Lite when not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(rows, arguments.uri, Path(folder)) for rows in arguments.rows]
    print(f"{'rows':>9} {'fill s':>9} {'one changed file s':>19} {'list of documents s':>20}")
    for one in found:
        print(f"{one['rows']:9} {one['fill_s']:9.1f} {one['changed_file_s']:19.3f} {one['sources_s']:20.3f}")
    ratio = found[-1]["changed_file_s"] / found[0]["changed_file_s"]
    more = found[-1]["rows"] / found[0]["rows"]
    print(f"one changed file takes {ratio:.2f} times as long with {more:.0f} times the rows")
    print(json.dumps({"benchmark": "incremental_cost", "ratio": round(ratio, 2), "found": found}))


if __name__ == "__main__":
    main()
