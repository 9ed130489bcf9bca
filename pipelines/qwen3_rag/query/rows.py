"""What searches and answers say, as rows: the words of the command line, the tools and the service.

Nothing of LlamaIndex is imported: whoever asks a running service needs none of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from qwen3_rag.errors import UnavailableError

_OWN_ID = re.compile("[0-9a-f]{32}")
_LETTERS = 12


def short_id(node_id: str) -> str:
    """A passage's id in 12 letters, for those who have to repeat it. Of a million passages two are alike once in 500
    collections.

    The beginning of the ids that this pipeline makes; other programs' ids may begin alike, so it is a hash of theirs.

    >>> short_id("28247eaba493fc444efe6f9b7d0144f3"), short_id("page-1")
    ('28247eaba493', '0eb236e50de3')
    """
    whole = node_id if _OWN_ID.fullmatch(node_id) else hashlib.sha256(node_id.encode()).hexdigest()
    return whole[:_LETTERS]


class Passage(BaseModel):
    """One passage as stored, and where it stands: `header_path` ends with its own heading, `position` counts from 0
    within its document, `page` is the page of a document that has some. None: there is none.

    Invisible letters, which older versions stored, are left out."""

    text: str
    source: str
    node_id: str
    title: str | None = None
    header_path: str | None = None
    position: int | None = None
    page: int | str | None = None


class DocumentPassages(BaseModel):
    """Passages of one document in their order; `total` counts all that it has."""

    source: str
    total: int
    passages: list[Passage]


class SourceCount(BaseModel):
    """A document and the number of its passages."""

    source: str
    passages: int


class SourceList(BaseModel):
    """Documents by name; `total` counts also those that are not listed."""

    sources: list[SourceCount]
    total: int

    @classmethod
    def of(cls, counts: Mapping[str, int], limit: int) -> SourceList:
        """The first `limit`."""
        rows = [SourceCount(source=name, passages=counts[name]) for name in sorted(counts)[:limit]]
        return cls(sources=rows, total=len(counts))


class Ranked(BaseModel):
    """A place in a result list; `rank` counts from 1."""

    rank: int
    score: float


class Row(Passage, Ranked):
    """One passage of a result list."""


class RerankedRow(Row):
    """A passage after the second stage: `score` is the reranker's, `retrieval_score` the first stage's."""

    retrieval_score: float


class SearchResult(BaseModel):
    """Both stages for one question. `reranked` is None without a reranker."""

    query: str
    mode: str = "dense"
    dense: list[Row]
    reranked: list[RerankedRow] | None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the command line; `mode` stands in it where the first stage is not the dense one."""
        return self.model_dump(exclude={"mode"} if self.mode == "dense" else None)

    @property
    def best(self) -> Sequence[Row]:
        """The last stage's rows."""
        return self.dense if self.reranked is None else self.reranked


class NumberedSource(BaseModel):
    """A passage that the answer was written from. `number` is what the answer cites, as [1]."""

    number: int
    source: str
    node_id: str


class AnswerResult(SearchResult):
    """Both stages, the answer and its sources. `answer` is None only in a `NoAnswerError`."""

    answer: str | None
    sources: list[NumberedSource]

    @property
    def cited(self) -> Sequence[Row]:
        """The rows of the passages that the answer was written from."""
        return self.best[: len(self.sources)]


class NoAnswerError(UnavailableError):
    """The language model gave none. `result` holds the passages."""

    def __init__(self, reason: str, result: AnswerResult) -> None:
        super().__init__(f"no answer: {reason}")
        self.reason, self.result = reason, result
