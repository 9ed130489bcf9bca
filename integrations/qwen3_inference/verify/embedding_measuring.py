"""The requests to an embedding endpoint: a dozen, each short but those of the truncation probe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError
from qwen3_inference.faults.embedding import QUERY_FAULTS, RIGHT, RIGHT_QUERY, TEXT_FAULTS, TextFault
from qwen3_inference.prompts import DEFAULT_INSTRUCTION, query_text
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import EXACT, distances
from qwen3_inference.verify.probes import DOCUMENTS, FIRST, FLAT, LINES, PADDED, QUERIES, SECOND
from qwen3_inference.verify.subjects import NO_ANSWER, Component, Endpoint

SENT = (*DOCUMENTS, FLAT, PADDED.strip())
BY_IDS = (FIRST, LINES)


@dataclass(frozen=True)
class Measured:
    """Rows as the endpoint gives them, the way that the client's own texts go."""

    documents: Rows
    """Of SENT in one request."""
    first: Rows
    """(1, width): FIRST alone."""
    second: Rows
    pair: Rows
    """FIRST twice in one request."""
    backward: Rows
    """Of SENT, sent the other way round."""
    counted: tuple[int | None, int | None]
    """Tokens that the server counted of FIRST, and of SENT."""
    queries: Rows | str
    """Of QUERIES, or why there are none."""
    as_texts: Rows | None
    """Of SENT as texts, where the client sends ids."""
    by_ids: dict[str, Rows]
    """Of BY_IDS with each fault written into the ids, where the server takes ids and the client sends texts."""
    written: dict[str, Rows]
    """(1, width): of the first query as a document, its prompt written right and with each fault, where another client
    writes prompts."""

    @property
    def noise(self) -> float:
        """How far vectors of one text lie apart, from one request to another."""
        alone = np.vstack([self.first, self.first, self.first])
        same = np.vstack([self.pair, self.documents[:1]])
        again = distances(self.documents, self.backward[::-1])
        return float(max(distances(alone, same).max(), again.max(), distances(self.second, self.documents[1:2]).max()))

    def same(self, left: Rows, right: Rows) -> bool | None:
        """Whether rows are of one text, which get the same vector twice; None where noise hides it."""
        apart = float(distances(left, right).max())
        twice = float(distances(self.pair[:1], self.pair[1:]).max())
        if apart <= max(1e-12, 2 * twice):
            return True
        return False if apart > max(1e-6, 4 * self.noise) else None

    def of(self, *texts: str) -> Rows:
        return self.documents[[SENT.index(text) for text in texts]]


def measure(subject: Endpoint | Component) -> Measured:
    """Raises what the first of these requests raises."""
    documents = subject.documents(SENT)
    first, second = subject.documents([FIRST]), subject.documents([SECOND])
    pair, backward = subject.documents([FIRST, FIRST]), subject.documents(SENT[::-1])
    as_texts: Rows | None = None
    by_ids: dict[str, Rows] = {}
    counted = first.tokens, documents.tokens
    if isinstance(subject, Endpoint) and subject.takes_ids:
        if subject.as_tokens:
            as_texts = _unless_refused(subject, SENT)
        else:
            texts = documents.rows[[SENT.index(text) for text in BY_IDS]]
            by_ids = _written_as_ids(subject, texts, float(distances(documents.rows, backward.rows[::-1]).max()))
    queries, written = _queries(subject), {} if isinstance(subject, Endpoint) else _written_as_documents(subject)
    return Measured(
        documents.rows, first.rows, second.rows, pair.rows, backward.rows, counted, queries, as_texts, by_ids, written
    )


def _unless_refused(subject: Endpoint, texts: Sequence[str]) -> Rows | None:
    try:
        return subject.as_texts(texts).rows
    except NO_ANSWER:
        return None


def _written_as_ids(subject: Endpoint, texts: Rows, noise: float) -> dict[str, Rows]:
    """The right ids; those with faults only where the right ones do not explain the vectors of BY_IDS, `texts`."""
    if subject.description is None:
        return {}
    has_prompt = bool(subject.description.query_prompt)
    try:
        found = _ask_written(subject, (RIGHT,))
        if float(distances(texts, found[RIGHT.fault.name]).max()) <= max(EXACT, noise):
            return found
        faults = [one for one in TEXT_FAULTS if not one.is_local and (has_prompt or not one.prompted)]
        return found | _ask_written(subject, faults)
    except NO_ANSWER:
        return {}


def _ask_written(subject: Endpoint, faults: Sequence[TextFault]) -> dict[str, Rows]:
    assert subject.description is not None  # noqa: S101  only asked where there is one
    tokenizer, prompt, count = subject.description.tokenizer, subject.description.query_prompt or "", len(BY_IDS)
    rows = subject.as_ids([fault.ids(text, tokenizer, prompt) for fault in faults for text in BY_IDS]).rows
    return {fault.fault.name: rows[i * count : (i + 1) * count] for i, fault in enumerate(faults)}


def _written_as_documents(subject: Component) -> dict[str, Rows]:
    prompt, writes = query_text("", DEFAULT_INSTRUCTION), (RIGHT_QUERY, *QUERY_FAULTS)
    try:
        rows = subject.documents([one.write(QUERIES[0], DEFAULT_INSTRUCTION, prompt) for one in writes]).rows
    except NO_ANSWER:
        return {}
    return {one.fault.name: rows[[place]] for place, one in enumerate(writes)}


def _queries(subject: Endpoint | Component) -> Rows | str:
    try:
        return subject.queries(QUERIES)
    except (EngineResponseError, EngineUnavailableError, ValueError) as error:
        return str(error)
