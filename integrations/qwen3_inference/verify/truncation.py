"""Whether an endpoint cuts long texts in silence: two that differ near their end must get different answers."""

import numpy as np

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError
from qwen3_inference.faults.embedding import TextFault
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import ALIKE, FITS, distances
from qwen3_inference.verify.expected import ComputedVectors, ExpectedVectors
from qwen3_inference.verify.probes import long_texts
from qwen3_inference.verify.results import Findings
from qwen3_inference.verify.subjects import Component, Endpoint

DEFAULT_TOKENS = 8192
SWITCHED_OFF = "switched off"
NO_ANSWER_DECIDES = "more time for a request (QWEN3_RAG_SERVER_TIMEOUT, timeout=)"
REMEDY = (
    "start the server with the whole context (TEI: --max-batch-tokens, --auto-truncate false; Ollama: num_ctx), "
    "or lower max_length to what it reads: documents are then cut here, with a warning"
)


def check_truncation(
    subject: Endpoint | Component,
    expected: ExpectedVectors | None,
    fault: TextFault | None,
    findings: Findings,
    tokens: int | None,
) -> None:
    """`fault`: what is wrong with all texts already, RIGHT for nothing. `tokens`: the texts' length; None: what the
    client promises."""
    length = tokens or subject.max_length or DEFAULT_TOKENS
    first, second = _fitting(subject, length)
    try:
        answers = [subject.documents([text]) for text in (first, second)]
    except EngineUnavailableError as error:
        findings.unknown("truncation", f"no answer to a text of {length} tokens: {error}", NO_ANSWER_DECIDES)
        return
    except (EngineResponseError, ValueError) as error:
        findings.ok("truncation", f"{length} tokens are refused, not cut: {error}")
        return
    counted, own = answers[0].tokens, _own_length(subject, first)
    if counted is not None and own is not None and counted < own - 1:
        findings.wrong("truncation", f"texts are cut at {counted} tokens, in silence: {own} were sent", REMEDY)
        return
    apart = float(distances(answers[0].rows, answers[1].rows).max())
    if apart <= 1e-12:
        where = _where(answers[0].rows, first, subject, expected, counted)
        findings.wrong("truncation", f"{where}, in silence: texts that differ behind it get one vector", REMEDY)
    elif apart > ALIKE:
        findings.ok("truncation", f"texts of about {length} tokens are read to their end")
    else:
        _decide(answers[0].rows, first, expected, fault, findings, apart)


def _decide(
    rows: Rows,
    text: str,
    expected: ExpectedVectors | None,
    fault: TextFault | None,
    findings: Findings,
    apart: float,
) -> None:
    """Vectors that nearly agree are told by the weights alone."""
    if not isinstance(expected, ComputedVectors) or fault is None or fault.pooling in ("mean", "max"):
        findings.unknown(
            "truncation",
            f"texts with other ends get nearly one vector (1 - cosine {apart:.0e})",
            "--embed-weights MODEL, once nothing else is wrong",
        )
        return
    off = float(distances(rows, expected.vectors([text], fault)).max())
    if off <= FITS:
        findings.ok("truncation", f"a text of that length is read to its end (1 - cosine to the weights {off:.0e})")
    else:
        findings.wrong(
            "truncation", f"a long text has another vector than by the weights (1 - cosine {off:.0e})", REMEDY
        )


def _fitting(subject: Endpoint | Component, length: int) -> tuple[str, str]:
    """Two texts of `length` tokens or a few less, by the tokenizer where there is one."""
    size = length
    while True:
        first, second = long_texts(size)
        own = max((n for n in (_own_length(subject, first), _own_length(subject, second)) if n is not None), default=0)
        if own <= length or size <= 16:
            return first, second
        size = min(size - 1, size * length // own)


def _own_length(subject: Endpoint | Component, text: str) -> int | None:
    return len(subject.ids(text)) if isinstance(subject, Endpoint) and subject.description else None


def _where(
    rows: Rows, text: str, subject: Endpoint | Component, expected: ExpectedVectors | None, counted: int | None
) -> str:
    if isinstance(expected, ComputedVectors):
        here = expected.reference
        ids = [*here.tokenizer.encode([text])[0], *here.end_ids]
        cuts = here.cut_vectors(ids, [counted] if counted else [])
        off = {cut: distances(np.repeat(rows, len(found), axis=0), found).min() for cut, found in cuts.items()}
        if off and min(off.values()) <= ALIKE:
            return f"texts are cut at {min(off, key=lambda cut: off[cut])} tokens"
    length = _own_length(subject, text)
    return f"texts are cut at fewer than {length or len(text.split())} tokens"
