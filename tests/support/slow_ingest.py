"""An ingest to be killed: `slow_ingest.py URI FOLDER [wait | many]` prints a line for each batch of two passages.

With `wait`, each batch waits for a line on stdin, or for its end. With `many`, each line on stdin is one ingest, in a
child of its own that has imported everything; its process id is its first line.
"""

import os
import sys
import time
from pathlib import Path

sys.path.pop(0)  # support/ has modules named as the standard library's
sys.path.insert(0, str(Path(__file__).parents[1]))

from qwen3_rag.cli.options import with_exit_code
from qwen3_rag.config import RagConfig
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.store.opening import open_store

from support.hashing import IDENTITY, HashingEmbedding


def tell(line: object) -> None:
    """In one write, which a kill cannot cut in two: where output is not buffered, print makes two of a line."""
    os.write(1, f"{line}\n".encode())


class Slow(HashingEmbedding):
    """Takes its time, and tells."""

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        tell("batch")
        if "wait" in sys.argv:
            sys.stdin.readline()
        time.sleep(0.02)
        return super()._get_text_embeddings(texts)


def main() -> None:
    store = open_store(RagConfig(uri=sys.argv[1], embed_model="tiny"), IDENTITY, create=True)
    ingest([sys.argv[2]], store=store, embed_model=Slow(), prune=True, batch_size=2)
    store.close()


def many() -> None:
    import milvus_lite.server_manager  # noqa: F401  it starts no thread before a database is opened

    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            tell(os.getpid())
            main()
            os._exit(0)
        os.waitpid(child, 0)
        tell("ended")


if __name__ == "__main__":
    import typer

    try:
        with_exit_code(many if "many" in sys.argv else main)
    except typer.Exit as end:
        sys.exit(end.exit_code)
