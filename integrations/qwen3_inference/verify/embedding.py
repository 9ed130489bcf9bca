"""`verify_embedding`: all checks of an embedding endpoint, from few requests."""

from typing import Any

from qwen3_inference.errors import EngineResponseError
from qwen3_inference.faults.embedding import RIGHT, TextFault
from qwen3_inference.verify.embedding_answers import (
    check_base64,
    check_batch,
    check_dimensions,
    check_newlines,
    check_norm,
    check_numbers,
    check_order,
    judge_numbers,
)
from qwen3_inference.verify.embedding_matching import (
    WEIGHTS,
    match_counts,
    match_expected,
    match_first_token,
    match_ids,
    match_published,
    match_written,
)
from qwen3_inference.verify.embedding_measuring import SENT, Measured, measure
from qwen3_inference.verify.expected import ExpectedVectors
from qwen3_inference.verify.results import EMBEDDING_CHECKS, MEND_FIRST, Check, Findings
from qwen3_inference.verify.subjects import Component, Endpoint, embedding_subject, own_warnings
from qwen3_inference.verify.truncation import SWITCHED_OFF, check_truncation


def verify_embedding(
    model: Any,
    *,
    expected: ExpectedVectors | None = None,
    published: bool = True,
    truncation: bool = True,
    long_tokens: int | None = None,
) -> tuple[Check, ...]:
    """A verdict for each of EMBEDDING_CHECKS.

    Args:
        model: a RemoteEmbeddingEngine, a Qwen3Embedding around one, any LlamaIndex BaseEmbedding or EmbeddingEngine.
        expected: what the model itself gives: `vectors_of(weights)` or `read_expected(file)`. Without it only what can
            be seen from outside is judged.
        published: whether the engine's name of the model is meant: sizes and published values of the official ones are
            then held against the answers.
        truncation: whether to send two long texts.
        long_tokens: how long they are; None: the engine's max_length, or 8192.

    Raises:
        EngineUnavailableError: the server does not answer.
        ValueError: it refuses what every server takes: another address, model name or key is needed.
        TypeError: `model` cannot embed.
    """
    with own_warnings():
        subject = embedding_subject(model)
        findings = Findings(EMBEDDING_CHECKS)
        try:
            measured = measure(subject)
        except EngineResponseError as error:
            check = "order" if "indices" in str(error) else "numbers"
            findings.wrong(check, f"the answer cannot be right: {error}", "mend the server or the proxy before it")
            return findings.all("an answer that can be read")
        judge_numbers(measured.documents, findings)
        if not findings.is_wrong("numbers"):
            fault = _judge(subject, measured, expected, published, findings)
            if truncation and "truncation" not in findings:
                check_truncation(subject, expected, fault, findings, long_tokens)
        if not truncation and "truncation" not in findings:
            findings.not_applicable("truncation", SWITCHED_OFF)
        return findings.all(WEIGHTS)


def _judge(
    subject: Endpoint | Component,
    measured: Measured,
    expected: ExpectedVectors | None,
    published: bool,
    findings: Findings,
) -> TextFault | None:
    """All but truncation; the fault in texts that was found, RIGHT for none and None where it is not known."""
    sends_ids = isinstance(subject, Endpoint) and subject.as_tokens
    check_norm(measured, findings)
    check_numbers(subject, findings)
    if check_order(measured, findings):
        check_batch(measured, findings)
    if findings.is_wrong("order", "batch"):
        findings.leave("vectors are not those of their texts, so nothing else can be told", MEND_FIRST)
        return None
    check_base64(subject, measured, findings)
    check_dimensions(subject, measured, findings)
    fault: TextFault | None = None
    if expected is not None:
        fault = match_expected(measured, expected, findings)
    else:
        match_first_token(measured, findings)
        if published:
            match_published(subject, measured, findings)
        match_written(subject, measured, published, findings)
        _judge_texts(subject, measured, findings)
    if findings.is_wrong("pooling"):
        findings.leave("the pooling is wrong already", MEND_FIRST)
    elif fault is RIGHT:
        findings.ok("newlines", "texts are read as they are")
    else:
        check_newlines(measured, findings, sends_ids)
    if sends_ids:
        _note_texts(measured, findings)
    if expected is not None and findings.is_wrong("model"):
        findings.leave("the model is another one already", MEND_FIRST)
    return fault


def _judge_texts(subject: Endpoint | Component, measured: Measured, findings: Findings) -> None:
    """What the tokenizer tells, where there is one."""
    if measured.by_ids:
        match_ids(measured, findings)
    if not isinstance(subject, Endpoint) or subject.description is None:
        return
    if subject.as_tokens:
        findings.ok("eos", "the client sends ids, <|endoftext|> among them")
        findings.ok("prompt", "the client sends ids, the prompt once among them")
    elif not measured.by_ids or "eos" not in findings:
        match_counts(measured, subject.description, findings)


def _note_texts(measured: Measured, findings: Findings) -> None:
    """Ids are right where texts may not be, as with old conversions: other clients of this server would see that."""
    if (
        measured.as_texts is not None
        and not findings.is_wrong("eos")
        and not measured.same(measured.documents[: len(SENT)], measured.as_texts)
    ):
        findings.ok("eos", "the client's ids end in <|endoftext|>; texts, which it does not send, get other vectors")
