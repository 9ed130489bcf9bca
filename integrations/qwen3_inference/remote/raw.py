"""Single requests and their answers as servers give them: what `verify` and the first use look at."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qwen3_inference.remote.address import Route
from qwen3_inference.remote.answers import in_order, read_rows
from qwen3_inference.remote.embedding_dialects import EmbeddingDialect, EmbeddingRequest
from qwen3_inference.remote.rerank_dialects import RerankRequest, Way

Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RawVectors:
    """Rows (texts, width) in the order of the request, and the tokens that the server counted, where it says."""

    rows: Rows
    tokens: int | None


@dataclass(frozen=True)
class RawScores:
    """What the server has for each document: a number, where it is sound."""

    values: Sequence[Any]
    tokens: int | None


def counted_tokens(answer: Any) -> int | None:
    """The tokens of a whole request, by the names that servers with a model of their own have for it.

    Hosted services bill by other counts, under other names, which are left alone.

    >>> counted_tokens({"usage": {"prompt_tokens": 7, "total_tokens": 7}})
    7
    """
    usage = answer.get("usage") if isinstance(answer, dict) else None
    found = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if found is None and isinstance(answer, dict):
        found = answer.get("prompt_eval_count")  # Ollama's
    return found if type(found) is int and found > 0 else None


Post = Callable[[Route, dict[str, Any], Callable[[Any], Any]], Awaitable[Any]]
"""Sends a body and reads the answer."""


class VectorAsking:
    """One request for vectors, in a dialect. `more` goes into the body as it is."""

    def __init__(self, post: Post, dialect: EmbeddingDialect, model: str) -> None:
        self._post, self.dialect, self.model = post, dialect, model

    async def __call__(
        self,
        texts: Sequence[Any],
        *,
        role: str = "document",
        instruction: str | None = None,
        as_base64: bool = False,
        width: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> RawVectors:
        inputs = [list(text) if isinstance(text, tuple) else text for text in texts]

        def read(answer: Any) -> RawVectors:
            rows = read_rows(in_order(self.dialect.read(answer), len(inputs)), width)
            return RawVectors(rows, counted_tokens(answer))

        body = self.dialect.body(EmbeddingRequest(self.model, inputs, role, instruction, as_base64))
        found: RawVectors = await self._post(self.dialect.route, {**body, **(more or {})}, read)
        return found


class ScoreAsking:
    """One request for scores. `instruction` is what goes into the server's own field for it, None for none."""

    def __init__(self, post: Post, way: Way, model: str) -> None:
        self._post, self._way, self._model = post, way, model

    async def __call__(
        self,
        query: Any,
        documents: Sequence[Any],
        *,
        instruction: str | None = None,
        answer_ids: tuple[int, int] | None = None,
    ) -> RawScores:
        texts = [list(text) if isinstance(text, tuple) else text for text in documents]
        asked = RerankRequest(
            self._model, list(query) if isinstance(query, tuple) else query, texts, instruction, answer_ids
        )

        def read(answer: Any) -> RawScores:
            return RawScores(in_order(self._way.read(answer), len(texts)), counted_tokens(answer))

        found: RawScores = await self._post(self._way.route, self._way.body(asked), read)
        return found
