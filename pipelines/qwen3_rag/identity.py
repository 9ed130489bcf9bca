"""Who an embedding model is, and whether two are the same: by their files, or by the vectors that they give.

The files of a model on a server are not to be seen, and its name is what the server calls it. So two fixed texts are
embedded, and the beginning of their vectors is kept with the collection, in a byte for each number. Rounding, other
batches and number formats leave the cosines of one model's vectors above 0.99; another model's are far below.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

Embed = Callable[[list[str]], list[list[float]]]
SERVED = "server"
"""The revision of a model on a server."""
KEPT = 256
"""Numbers of a vector that are recorded: 0.7 KB for both texts. What a model puts first is what it needs most."""


@dataclass(frozen=True)
class ModelIdentity:
    """What decides whether two vectors can be compared. Recorded in the collection's properties.

    Args:
        revision: the hub commit; for a local folder `sha256:` and a fingerprint of its files; "server" for a model on a
            server.
        probes: what it gave for `probe_texts`, see `encode_probes`; "" where it was not asked.
        embed: asks the model for the vectors of documents. It is no part of the record.
    """

    name: str
    revision: str
    dimension: int
    probes: str = ""
    embed: Embed | None = field(default=None, compare=False, repr=False)

    @property
    def is_served(self) -> bool:
        return self.revision == SERVED

    def same_files(self, other: ModelIdentity) -> bool:
        """Equal files are the same model wherever they lie; hub models need name and commit equal."""
        if self.revision.startswith("sha256:"):
            return self.revision == other.revision
        return (self.name, self.revision) == (other.name, other.revision)

    def same_name(self, other: ModelIdentity) -> bool:
        """Whether the names are one, as hub, folders and servers write it.

        >>> hub = ModelIdentity("Qwen/Qwen3-Embedding-0.6B", "1", 1024)
        >>> ModelIdentity("qwen3-embedding:0.6b", "server", 1024).same_name(hub)
        True
        """
        return _plain(self.name) == _plain(other.name)

    def probed(self) -> ModelIdentity:
        """The same with `probes`, asked for where they are not known and there is whom to ask."""
        if self.probes or self.embed is None:
            return self
        return replace(self, probes=encode_probes(self.embed(probe_texts())))

    def __str__(self) -> str:
        whence = "on a server" if self.is_served else f"revision {self.revision}"
        return f"{self.name} ({whence}, {self.dimension} dimensions)"


def probe_texts() -> list[str]:
    """The two fixed texts. Recorded vectors are theirs: they never change."""
    from qwen3_inference.remote.first_use import PROBES

    return list(PROBES)


def encode_probes(vectors: Sequence[Sequence[float]]) -> str:
    """The beginnings of vectors in base64, a byte for each number. Their cosines stay within 0.0001.

    >>> encode_probes([[1.0, 0.0], [0.0, -1.0]])
    'fwAAgQ=='
    """
    rows = np.asarray(vectors, np.float64)[:, :KEPT]
    scaled = np.rint(rows / np.abs(rows).max(axis=1, keepdims=True) * 127).astype(np.int8)
    return base64.b64encode(scaled.tobytes()).decode()


def probe_likeness(one: str, other: str) -> float:
    """The least cosine of two models' vectors for the same probe, over the numbers that both records have."""
    return likeness(_decoded(one), _decoded(other))


def likeness(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    """The least cosine of two lists of vectors, row by row, over the numbers that both have (a shorter vector of a
    model is the beginning of the longer one)."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    width = min(a.shape[1], b.shape[1])
    a, b = a[:, :width], b[:, :width]
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.min(np.sum(a * b, axis=1) / np.where(norms == 0, 1.0, norms)))


def _decoded(probes: str) -> list[list[float]]:
    numbers = np.frombuffer(base64.b64decode(probes), np.int8).astype(np.float64)
    rows: list[list[float]] = numbers.reshape(len(probe_texts()), -1).tolist()
    return rows


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.rstrip("/").rsplit("/", 1)[-1].lower())
