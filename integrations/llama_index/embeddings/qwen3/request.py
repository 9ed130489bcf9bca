"""One call for vectors: the texts, their role, and where they stood in what the caller passed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from llama_index.embeddings.qwen3.generated import DocumentText
from qwen3_inference import NumericalError, Progress
from qwen3_inference.texts import check_unicode

QUERY, DOCUMENT = "query", "document"


@dataclass(frozen=True)
class Request:
    """`instruction`: the task of queries, or the prompt of documents; None is the model's own.

    `places`: the texts' indices in the caller's list, None for a text that was passed alone."""

    texts: Sequence[str]
    role: str
    instruction: str | None
    places: Sequence[int] | None = None
    progress: Progress | None = None

    def only(self, indices: Sequence[int]) -> "Request":
        """The request for some of its texts."""
        places = None if self.places is None else [self.places[index] for index in indices]
        return replace(self, texts=[self.texts[index] for index in indices], places=places)

    def check(self) -> None:
        """Raise ValueError for an instruction or a text that no tokenizer takes, at its place in the caller's list."""
        if self.instruction is not None:
            check_unicode(self.instruction, "the instruction")
        for index, text in enumerate(self.texts):
            check_unicode(text, f"the {self._noun}" if self.places is None else f"{self._noun} {self.places[index]}")

    @contextmanager
    def naming_places(self) -> Iterator[None]:
        """Say which of the caller's texts a numerical error is about: the engine knows its own part of them only."""
        try:
            yield
        except NumericalError as error:
            if self.places is None:
                raise
            places = [self.places[index] for index in error.indices]
            message = f"{error} (in the whole list: {', '.join(map(str, places))})"
            raise type(error)(message, places) from error  # a remote engine's is of a kind of its own

    @property
    def _noun(self) -> str:
        return "query" if self.role == QUERY else "text"


def role_of_query(query: str) -> str:
    return DOCUMENT if isinstance(query, DocumentText) else QUERY
