"""`verify_rerank`: all checks of a reranking endpoint, from few requests."""

from typing import Any

from qwen3_inference.errors import EngineResponseError
from qwen3_inference.verify.expected import ExpectedScores
from qwen3_inference.verify.rerank_answers import (
    check_control_tokens,
    check_instruction,
    check_long_documents,
    check_order_and_batch,
    check_reading,
    check_scale,
)
from qwen3_inference.verify.rerank_matching import (
    WEIGHTS,
    match_expected_scores,
    match_prompt_counts,
    match_prompt_ids,
    match_published_scores,
    name_no_fault,
)
from qwen3_inference.verify.rerank_measuring import MeasuredScores, NotFiniteError, measure_scores
from qwen3_inference.verify.rerank_subjects import RerankComponent, RerankEndpoint, rerank_subject
from qwen3_inference.verify.results import MEND_FIRST, RERANK_CHECKS, Check, Findings
from qwen3_inference.verify.subjects import own_warnings
from qwen3_inference.verify.truncation import SWITCHED_OFF


def verify_rerank(
    model: Any,
    *,
    expected: ExpectedScores | None = None,
    published: bool = True,
    truncation: bool = True,
    long_tokens: int | None = None,
) -> tuple[Check, ...]:
    """A verdict for each of RERANK_CHECKS.

    Args:
        model: a RemoteRerankEngine, a Qwen3Rerank around one, any LlamaIndex BaseNodePostprocessor that scores
            nodes, or a RerankEngine.
        expected: what the model itself gives: `scores_of(weights)` or `read_expected(file)`. Without it only what
            can be seen from outside is judged.
        published: whether the engine's name of the model is meant: sizes and published values of the official ones are
            then held against the answers.
        truncation: whether to send two long documents.
        long_tokens: how long they are; None: the engine's max_length, or 8192.

    Raises:
        EngineUnavailableError, ValueError, TypeError: as `verify_embedding`.
    """
    with own_warnings():
        subject = rerank_subject(model)
        findings = Findings(RERANK_CHECKS)
        try:
            measured = measure_scores(subject)
        except (NotFiniteError, EngineResponseError) as error:
            check = "order" if "indices" in str(error) else "numbers"
            remedy = "serve the model in bfloat16 or float32; mend a proxy before it"
            findings.wrong(check, f"the answer cannot be right: {error}", remedy)
            return findings.all("an answer that can be read")
        findings.ok("numbers", "finite, also for texts that overflow in float16")
        _judge(subject, measured, expected, published, findings)
        if truncation and "truncation" not in findings:
            check_long_documents(subject, findings, long_tokens)
        if not truncation:
            findings.not_applicable("truncation", SWITCHED_OFF)
        return findings.all(WEIGHTS)


def _judge(
    subject: RerankEndpoint | RerankComponent,
    measured: MeasuredScores,
    expected: ExpectedScores | None,
    published: bool,
    findings: Findings,
) -> None:
    check_order_and_batch(measured, findings)
    if findings.is_wrong("order", "batch"):
        findings.leave("scores are not those of their documents, so nothing else can be told", MEND_FIRST)
        return
    if expected is not None:
        if not match_expected_scores(measured, expected, findings) and not check_reading(measured, findings):
            name_no_fault(measured, expected, findings)
    elif not check_reading(measured, findings):
        check_scale(measured, findings)
        _judge_prompt(subject, measured, findings)
        if published:
            match_published_scores(subject, measured, findings)
    if findings.is_wrong("model", "template"):
        findings.leave("the scores are wrong already", MEND_FIRST)
        return
    check_instruction(subject, measured, findings)
    check_control_tokens(subject, expected, findings)


def _judge_prompt(subject: RerankEndpoint | RerankComponent, measured: MeasuredScores, findings: Findings) -> None:
    """What the server itself and the tokenizer tell."""
    if isinstance(subject, RerankEndpoint):
        if subject.prompt == "tokens":
            findings.ok("template", "the client writes the prompt as ids, whatever template the server has")
        match_prompt_ids(measured, findings)
        if "template" not in findings:
            match_prompt_counts(subject, measured, findings)
