"""`verify --write` and `--against`: what weights give, carried to a machine without them, in about 40 KB of JSON."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qwen3_inference.faults.embedding import RIGHT, TextFault
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.expected import (
    BY_NAME,
    PROMPTS_BY_NAME,
    QUERIES_BY_NAME,
    ExpectedScores,
    ExpectedVectors,
)
from qwen3_inference.verify.probes import DOCUMENTS, PAIRS, QUERIES

FORMAT = 1
_BEGINNING = 64
"""Numbers of a fault's vectors that are kept: enough to tell it from the others."""
_LARGEST = 4 << 20


@dataclass(frozen=True)
class StoredVectors:
    model: str
    width: int
    documents: Mapping[str, Rows]
    right_queries: Mapping[str, Rows]

    @property
    def right(self) -> Rows:
        return self.documents["right"]

    def queries(self, texts: TextFault) -> Mapping[str, Rows] | None:
        return self.right_queries if texts is RIGHT else None


@dataclass(frozen=True)
class StoredScores:
    model: str
    prompts: Mapping[str, Rows]

    @property
    def right(self) -> Rows:
        return self.prompts["right"]


def write_expected(path: Path, embedding: ExpectedVectors | None, rerank: ExpectedScores | None) -> None:
    """Write what is given; computes every known fault."""
    content: dict[str, Any] = {"format": FORMAT, "probes": _probes()}
    if embedding is not None:
        queries = embedding.queries(RIGHT) or {}
        content["embedding"] = {
            "model": embedding.model,
            "width": embedding.width,
            "documents": {name: _packed(rows, name == "right") for name, rows in embedding.documents.items()},
            "queries": {name: _packed(rows, name == "right") for name, rows in queries.items()},
        }
    if rerank is not None:
        prompts = {name: [round(float(value), 9) for value in rows] for name, rows in rerank.prompts.items()}
        content["rerank"] = {"model": rerank.model, "prompts": prompts}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_expected(path: Path) -> tuple[StoredVectors | None, StoredScores | None]:
    """What `write_expected` wrote.

    Raises:
        ValueError: it is no such file, or of other probes.
        OSError: it cannot be read.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["probes"] != _probes():
            raise ValueError("it was written by another version")
        vectors = content.get("embedding")
        scores = content.get("rerank")
        return vectors and _vectors(vectors), scores and _scores(scores)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is no file that `qwen3-rag verify --write` of this version wrote ({error}); write it again "
            "where the weights are"
        ) from error


def _vectors(content: Mapping[str, Any]) -> StoredVectors:
    documents = {name: _unpacked(one, len(DOCUMENTS)) for name, one in content["documents"].items() if name in BY_NAME}
    queries = {
        name: _unpacked(one, len(QUERIES)) for name, one in content["queries"].items() if name in QUERIES_BY_NAME
    }
    if "right" not in documents or "right" not in queries:
        raise ValueError("the right vectors are missing")
    return StoredVectors(str(content["model"]), int(content["width"]), documents, queries)


def _scores(content: Mapping[str, Any]) -> StoredScores:
    known = {name: values for name, values in content["prompts"].items() if name in PROMPTS_BY_NAME}
    prompts = {name: np.array(values, dtype=np.float64) for name, values in known.items()}
    wrong = [name for name, rows in prompts.items() if rows.shape != (len(PAIRS),) or not np.isfinite(rows).all()]
    if "right" not in prompts or wrong:
        raise ValueError(f"scores are missing or no numbers: {wrong}")
    return StoredScores(str(content["model"]), prompts)


def _packed(rows: Rows, whole: bool) -> str:
    """Float16 keeps a cosine of 1 - 1e-7."""
    kept = rows if whole else rows[:, :_BEGINNING]
    return base64.b64encode(kept.astype("<f2").tobytes()).decode()


def _unpacked(text: str, count: int) -> Rows:
    try:
        numbers = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float64)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if not len(numbers) or len(numbers) % count or not np.isfinite(numbers).all():
        raise ValueError("vectors are cut or no numbers")
    return numbers.reshape(count, -1)


def _probes() -> str:
    """Changes when the probes do."""
    from hashlib import sha256

    return sha256(json.dumps([DOCUMENTS, QUERIES, PAIRS]).encode()).hexdigest()[:16]
