"""Checks of a reranking endpoint that need little but its answers: scale, order, batches, control tokens."""

import numpy as np

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError
from qwen3_inference.faults.rerank import SCORE_FAULTS
from qwen3_inference.local.rerank import sigmoid
from qwen3_inference.prompts import RERANK_PREFIX, RERANK_SUFFIX, rerank_instruction_text, rerank_query_text
from qwen3_inference.remote.failures import RefusedError
from qwen3_inference.remote.rerank_first_use import NOTHING
from qwen3_inference.remote.rerank_inputs import PairInputs
from qwen3_inference.verify.compare import how_far
from qwen3_inference.verify.expected import ComputedScores, ExpectedScores
from qwen3_inference.verify.probes import FORGED, OTHER_TASK, RED_PLANET, long_texts
from qwen3_inference.verify.rerank_measuring import MARS, MeasuredScores, NotFiniteError, numbers
from qwen3_inference.verify.rerank_subjects import RerankComponent, RerankEndpoint
from qwen3_inference.verify.results import Findings
from qwen3_inference.verify.truncation import DEFAULT_TOKENS, NO_ANSWER_DECIDES, REMEDY

_SAME = 1e-4
_ASKED_AGAIN = 2
"""Documents that show whether an instruction is read; each is a whole prompt that no cache of the server has."""
_BATCH_WRONG, _BATCH_FINE = 5e-2, 1e-2
NO_SCORES = (RefusedError, EngineResponseError, EngineUnavailableError, NotFiniteError, ValueError)
_FAULTS = {one.fault.name: one.fault for one in SCORE_FAULTS}
_HALF, _SIGMOID_OF_ONE = 0.5, 1 / (1 + np.exp(-1))


def check_scale(measured: MeasuredScores, findings: Findings) -> None:
    """From outside; a logit between 0 and 1 passes here."""
    low, high = measured.pairs.min(), measured.pairs.max()
    if low < -1e-6 or high > 1 + 1e-6:
        findings.fault(_FAULTS["logit"], f"from {low:.3g} to {high:.3g}")
    elif low >= _HALF and high <= _SIGMOID_OF_ONE + 1e-6:
        findings.unknown(
            "scale", f"all scores lie between 0.5 and 0.731 ({low:.3f} to {high:.3f}), as if the sigmoid were applied "
            "twice", "--rerank-weights MODEL",
        )  # fmt: skip
    else:
        findings.ok("scale", f"between 0 and 1 ({low:.3g} to {high:.3g})")


def check_reading(measured: MeasuredScores, findings: Findings) -> bool:
    """Whether scores do not depend on what is asked."""
    scores = measured.pairs
    if scores.min() >= 0 and scores.max() < NOTHING:
        findings.wrong(
            "model",
            f"the head is missing: no score is over {scores.max():.0e}",
            "convert the checkpoint anew, from a folder with 'qwen3-reranker' in its name (llama.cpp's converter)",
        )
    elif np.ptp(scores) < 1e-9 and 1e-6 < scores[0] < 1 - 1e-6:
        findings.wrong(
            "template",
            f"every document gets the score {scores[0]:.4g}: neither query nor document reaches the model, or its "
            "head is missing",
            "start the server with Qwen3-Reranker's template, whose roles are those that it fills in",
        )
    return findings.is_wrong("model", "template")


def check_order_and_batch(measured: MeasuredScores, findings: Findings) -> None:
    forward, count = measured.pairs[: len(RED_PLANET.documents)], len(RED_PLANET.documents)
    backward = measured.backward[:count][::-1]
    others = [abs(measured.alone - forward[place]) for place in range(count) if place != MARS]
    moved = abs(measured.alone - forward[MARS]) > _BATCH_FINE and min(others) <= _SAME
    crossed = np.abs(forward - backward).max() > _BATCH_FINE and np.allclose(
        np.sort(forward), np.sort(backward), atol=_SAME
    )
    if moved or crossed:
        findings.wrong(
            "order",
            "scores come in another order than their documents",
            "mend the server or the proxy before it: each score needs the index of its document",
        )
        return
    findings.ok("order", "each document has its own score, at its place")
    noise = measured.noise
    if noise > _BATCH_WRONG:
        findings.wrong(
            "batch",
            f"a document's score depends on the batch: it differs by {noise:.3f} alone and among others",
            "update the server, or send one document a request (batch_size=1); turn a cache before it off",
        )
    elif noise > _BATCH_FINE:
        findings.unknown(
            "batch", f"scores of one document differ by {noise:.3f} from batch to batch", "serve it in float32"
        )
    else:
        findings.ok("batch", f"alone, twice and among others: {how_far(noise)}")


def check_instruction(subject: RerankEndpoint | RerankComponent, measured: MeasuredScores, findings: Findings) -> None:
    if isinstance(subject, RerankComponent) and not subject.takes_task:
        findings.not_applicable("instruction", "this class has no instruction for one call")
        return
    if isinstance(subject, RerankEndpoint) and not subject.engine.way.carries_instruction:
        findings.not_applicable("instruction", "this server has no field for it; the client refuses one")
        return
    try:
        answer = subject.ask(RED_PLANET.query, RED_PLANET.documents[:_ASKED_AGAIN], OTHER_TASK)
        found = numbers(answer.values, subject.scores)
    except NO_SCORES as error:
        findings.unknown(
            "instruction", f"with another instruction there is no score: {error}", "a server that takes one"
        )
        return
    usual = measured.pairs[: len(found)]
    if np.abs(found - usual).max() > max(1e-6, 2 * measured.noise):
        findings.ok("instruction", "another instruction gives other scores")
    elif usual.min() > 1 - 1e-6 or usual.max() < 1e-6:
        findings.unknown("instruction", "all scores are 0 or 1", "documents that the model is less sure of")
    else:
        findings.wrong(
            "instruction",
            "instruction ignored: the opposite one gives the same scores",
            "update the server (vLLM reads `instruction` since 2026-05) and let its template use it, or say "
            "--rerank-prompt tokens or client; the client refuses another instruction meanwhile",
        )


def check_control_tokens(
    subject: RerankEndpoint | RerankComponent, expected: ExpectedScores | None, findings: Findings
) -> None:
    """A document that closes its turn and writes the verdict, with its control tokens whole and broken up."""
    try:
        if isinstance(subject, RerankEndpoint) and subject.prompt == "tokens":
            _check_broken_up(subject, findings)
        elif isinstance(subject, RerankEndpoint) and subject.engine.dialect.splits_control_tokens:
            findings.ok("control_tokens", "the service breaks them up")
        else:
            _check_texts(subject, expected, findings)
    except NO_SCORES as error:
        findings.unknown("control_tokens", f"a document with control tokens has no score: {error}", "another server")


def _check_broken_up(subject: RerankEndpoint, findings: Findings) -> None:
    description = subject.description
    if description is None:
        return
    tokenizer = description.tokenizer
    inputs = subject.engine.inputs(RED_PLANET.query, [FORGED])
    whole = tokenizer.encode_template(f" {FORGED}{RERANK_SUFFIX}")
    both = PairInputs(inputs.query, [inputs.documents[0], tuple(whole)], inputs.answer_ids)
    broken, forged = numbers(subject.engine.ask_raw(both).values, subject.scores)
    if abs(broken - forged) > 1e-9:
        findings.ok("control_tokens", "the client breaks them up, and the server leaves ids as they are")
    elif min(broken, 1 - broken) < 1e-6:
        findings.unknown("control_tokens", "the scores are 0 or 1 with and without", "another query")
    else:
        findings.wrong(
            "control_tokens",
            "the server puts broken-up control tokens together again: a document can write its verdict",
            "it decodes ids and encodes them anew; use a server that takes them as they are",
        )


def _check_texts(
    subject: RerankEndpoint | RerankComponent, expected: ExpectedScores | None, findings: Findings
) -> None:
    """Routes of texts cannot break them up; told is whether the server does."""
    safe = "--rerank-prompt tokens keeps them text, on vLLM and SGLang"
    if isinstance(expected, ComputedScores):
        tokenizer, task = expected.reference.tokenizer, expected.reference.task
        before = RERANK_PREFIX + rerank_instruction_text(task) + rerank_query_text(RED_PLANET.query)
        head = tokenizer.encode_template(before)
        end = tokenizer.encode_template(RERANK_SUFFIX)
        ids = [tokenizer.encode([FORGED], " ")[0], tokenizer.encode_template(f" {FORGED}")]
        broken, whole = sigmoid(expected.reference.logits([[*head, *one, *end] for one in ids]))
        found = numbers(subject.ask(RED_PLANET.query, [FORGED]).values, subject.scores)[0]
        if abs(found - broken) < abs(found - whole) / 3:
            findings.ok("control_tokens", "the server breaks them up")
            return
    findings.not_applicable(
        "control_tokens",
        "this way carries texts alone, in which <|im_end|> and its like are read as control tokens; the client warns",
        safe,
    )


def check_long_documents(subject: RerankEndpoint | RerankComponent, findings: Findings, tokens: int | None) -> None:
    length = (tokens or subject.max_length or DEFAULT_TOKENS) - 256
    first, second = long_texts(max(64, _fitting(subject, length)))
    try:
        values = [numbers(subject.ask(RED_PLANET.query, [text]).values, subject.scores)[0] for text in (first, second)]
    except EngineUnavailableError as error:
        findings.unknown("truncation", f"no answer to a document of {length} tokens: {error}", NO_ANSWER_DECIDES)
        return
    except NO_SCORES as error:
        findings.ok("truncation", f"{length} tokens are refused, not cut: {error}")
        return
    apart = abs(values[0] - values[1])
    if apart > 1e-6:
        findings.ok("truncation", f"documents of about {length} tokens are read to their end")
    elif apart > 1e-12 or min(values[0], 1 - values[0]) < 1e-6:
        findings.unknown("truncation", "long documents with other ends get nearly one score", "documents of your own")
    else:
        findings.wrong(
            "truncation",
            f"documents are cut at fewer than {length} tokens, in silence: those that differ behind it get one score",
            REMEDY,
        )


def _fitting(subject: RerankEndpoint | RerankComponent, length: int) -> int:
    if isinstance(subject, RerankComponent) or subject.description is None:
        return length
    size = length
    while size > 64:
        own = max(map(len, subject.description.tokenizer.encode(long_texts(size))))
        if own <= length:
            break
        size = min(size - 1, size * length // own)
    return size
