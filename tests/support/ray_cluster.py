"""Ray on two small cores, quiet; and models for its actors, which tell who they are and can be slowed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.hashing import HashingEmbedding

STORE = 100 << 20
"""Bytes of the object store: only names go through it."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
os.environ.update(QUIET)
# Actors are processes of their own, and find this package as the tests do.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))


class Told(HashingEmbedding):
    """Writes its process and the texts of each batch to `folder`, and takes its time."""

    folder: str
    seconds: float = 0.0

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        name = f"{os.getpid()}-{time.monotonic_ns()}"
        (Path(self.folder) / name).write_text("\n".join(text.replace("\n", " ") for text in texts))
        time.sleep(self.seconds)
        return super()._get_text_embeddings(texts)


def told(folder: str, seconds: float = 0.0) -> Told:
    return Told(folder=folder, seconds=seconds)


def batches(folder: Path) -> list[tuple[int, list[str]]]:
    """The process and the texts of what was embedded, in time, without the check at each start."""
    found = sorted((int(one.name.split("-")[1]), one) for one in folder.iterdir())
    told = [(int(one.name.split("-")[0]), one.read_text().split("\n")) for _, one in found]
    return [(process, texts) for process, texts in told if texts not in (["A passage."], [""])]


@contextmanager
def local_ray(cpus: int = 2) -> Iterator[Any]:
    """Ray in this machine, until the end of the block."""
    import ray

    options = {"object_store_memory": STORE, "include_dashboard": False, "logging_level": 50, "log_to_driver": False}
    ray.init(address="local", num_cpus=cpus, **options)
    try:
        yield ray
    finally:
        ray.shutdown()
