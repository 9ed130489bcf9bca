"""A model server that computes one thing wrong, for as long as it runs.

with FaultServer(embedder=folder, wrong="mean") as server:
    verify_embedding(RemoteEmbeddingEngine(server.url, "model", tokenizer=str(folder)))
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from support import wrong_answers
from support.model_answers import SCORE_SHAPES
from support.model_server import ModelServer
from support.reference import TASK, tokenizer_of


@dataclass
class FaultServer(ModelServer):
    """`wrong` is one of the names in `wrong_answers`, or of those that this class knows; "" is a right server."""

    wrong: str = ""
    dtype: torch.dtype | None = None
    """A right server that computes in it, a request as one padded batch. None: each text by itself, in float32."""
    counts: bool = True
    takes_dimensions: bool = False
    slow_length: int | None = None
    """A text with more characters, or ids, is not answered."""

    def answer(self, path: str, body: dict[str, Any], fault: str) -> Any:
        if self.slow_length is not None and any(len(text) > self.slow_length for text in body.get("input", ())):
            self.hang()
        return (
            self._vectors(path, body)
            if path in ("/v1/embeddings", "/embed", "/api/embed")
            else self._scores(path, body)
        )

    def _vectors(self, path: str, body: dict[str, Any]) -> Any:
        assert self.embedder is not None
        inputs = body.get("input", body.get("inputs"))
        inputs = [inputs] if isinstance(inputs, str) else inputs
        sequences = [self._ids(text) for text in inputs]
        if self.dtype is not None:
            rows = wrong_answers.padded_vectors(self.embedder, sequences, self.dtype)
        else:
            rows = [wrong_answers.pooled(self.embedder, ids, self.wrong) for ids in sequences]
        rows = self._spoilt(rows, sequences)
        if size := body.get("dimensions"):
            rows = self._cut(rows, size)
        if self.wrong == "narrow":
            rows = [row[: len(row) // 2] / np.linalg.norm(row[: len(row) // 2]) for row in rows]
        values: list[Any] = [row.tolist() for row in rows]
        count = sum(
            min(len(ids), wrong_answers.CUT) if self.wrong in ("cut", "cut without an end") else len(ids)
            for ids in sequences
        )
        if self.wrong == "nan" and any("petroleum" in text for text in inputs if isinstance(text, str)):
            values[-1] = [float("nan")] * len(values[-1])
        if path == "/embed":
            return values
        if path == "/api/embed":
            return {"embeddings": values, "prompt_eval_count": count}
        if body.get("encoding_format") == "base64":
            values = [self._encoded(value) for value in values]
        usage = {"usage": {"prompt_tokens": count, "total_tokens": count}} if self.counts else {}
        return {"data": [{"index": i, "embedding": value} for i, value in enumerate(values)], **usage}

    def _ids(self, text: Any) -> list[int]:
        assert self.embedder is not None
        if isinstance(text, str):
            return wrong_answers.embedded_ids(self.embedder, text, self.wrong)
        if self.ids == "decoded":
            decoded = tokenizer_of(self.embedder).decode(text, skip_special_tokens=False)
            return wrong_answers.embedded_ids(self.embedder, decoded.removesuffix("<|endoftext|>"), self.wrong)
        return list(text)

    def _spoilt(self, rows: list[np.ndarray], sequences: list[list[int]]) -> list[np.ndarray]:
        lengths = [len(ids) for ids in sequences]
        if self.wrong == "reversed":
            return rows[::-1]
        if self.wrong == "sorted by length":
            return [rows[place] for place in np.argsort(lengths, kind="stable")]
        if self.wrong == "equal lengths" and len(rows) > 1 and len(set(lengths)) == 1:  # as TEI without a mask
            return [np.roll(row, 1) for row in rows]
        if self.wrong == "padding":
            moved = [row + 0.02 * (max(lengths) - length) for row, length in zip(rows, lengths, strict=True)]
            return [row / np.linalg.norm(row) for row in moved]
        return rows

    def _cut(self, rows: list[np.ndarray], size: int) -> list[np.ndarray]:
        if self.wrong == "cut vectors not renormalised":
            return [row[:size] for row in rows]
        if self.wrong == "last numbers":
            return [row[-size:] / np.linalg.norm(row[-size:]) for row in rows]
        return [row[:size] / np.linalg.norm(row[:size]) for row in rows] if self.takes_dimensions else rows

    def _encoded(self, value: list[float]) -> str:
        from support.model_server import _encoded

        return str(_encoded(value, "quarter" if self.wrong == "quarter in base64" else ""))

    def _scores(self, path: str, body: dict[str, Any]) -> Any:
        assert self.reranker is not None
        counts: list[int] = []
        if "input" in body or "items" in body:
            whole = body.get("input") or [[*body["query"], *ids] for ids in body["items"]]
            found = self._probabilities([self._whole(ids) for ids in whole], self.wrong)
        else:
            documents = body.get("documents", body.get("texts"))
            task = (
                TASK if self.wrong == "instruction ignored" else body.get("instruction", body.get("instruct")) or TASK
            )
            written = self.wrong if self.template else "missing"
            prompts = [
                wrong_answers.prompt_ids(self.reranker, body["query"], text, task, written) for text in documents
            ]
            found, counts = (
                [wrong_answers.by_ids(self.reranker, ids, self.wrong) for ids in prompts],
                list(map(len, prompts)),
            )
        if self.wrong == "nan":
            found[-1] = float("nan")
        if self.wrong == "sorted":
            found = sorted(found, reverse=True)
        if self.wrong == "batch" and len(found) > 1:
            found = [(score + 0.4) % 1 for score in found]
        kind = self.kind if path in ("/rerank", "/v1/rerank") and self.kind in SCORE_SHAPES else path
        answer = SCORE_SHAPES[kind](list(enumerate(found)))
        if self.counts and counts and isinstance(answer, dict):
            answer["usage"] = {"prompt_tokens": sum(counts)}
        return answer

    def _probabilities(self, sequences: list[list[int]], wrong: str) -> list[float]:
        assert self.reranker is not None
        if self.dtype is not None:
            return wrong_answers.padded_scores(self.reranker, sequences, self.dtype)
        return [wrong_answers.by_ids(self.reranker, ids, wrong) for ids in sequences]

    def _whole(self, ids: list[int]) -> list[int]:
        if self.ids != "decoded":
            return ids
        assert self.reranker is not None
        tokenizer = tokenizer_of(self.reranker)
        return list(tokenizer(tokenizer.decode(ids, skip_special_tokens=False))["input_ids"])
