"""Which fault explains the scores: prompt, labels and scale, told by the best evidence there is."""

import numpy as np

from qwen3_inference import golden
from qwen3_inference.faults.rerank import PROMPT_FAULTS, RIGHT_SCORE, SCORE_FAULTS
from qwen3_inference.faults.words import Fault
from qwen3_inference.prompts import DEFAULT_INSTRUCTION
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import logit_distance, nearest
from qwen3_inference.verify.expected import PROMPTS_BY_NAME, ExpectedScores
from qwen3_inference.verify.probes import PAIRS, RED_PLANET
from qwen3_inference.verify.rerank_measuring import BY_IDS, MARS, SAME, MeasuredScores
from qwen3_inference.verify.rerank_subjects import RerankComponent, RerankEndpoint
from qwen3_inference.verify.results import Findings

WEIGHTS = "--rerank-weights MODEL with the same model, or --against a file that `verify --write` made of it"
_FAULTS: dict[str, Fault] = {one.fault.name: one.fault for one in (*SCORE_FAULTS, *PROMPT_FAULTS)}
_EXACT, _FITS = SAME, 0.3
"""Largest difference as logits: of float32, and of bfloat16 with 8-bit weights."""


def match_expected_scores(measured: MeasuredScores, expected: ExpectedScores, findings: Findings) -> bool:
    """By what the model itself gives, and what each fault would have made of it; whether one of them fits."""
    found = {"right": _apart(RIGHT_SCORE.back(measured.pairs), expected.right)}
    rounding = max(_EXACT, measured.noise_of_logits)
    match = nearest(found, "right", exact=rounding, fits=rounding)
    if match is None:
        for one in SCORE_FAULTS:
            found[one.fault.name] = _apart(one.back(measured.pairs), expected.right)
        probabilities = RIGHT_SCORE.back(measured.pairs)
        found |= {name: _apart(probabilities, rows) for name, rows in expected.prompts.items() if name != "right"}
        match = nearest(found, "right", exact=rounding, fits=_FITS)
    faults = [] if match is None or match.name == "right" else [_FAULTS[match.name]]
    if match is None or (faults and match.distance > rounding):
        two, distance = _two_faults(measured, expected)
        if distance <= _FITS and (match is None or 3 * distance < match.distance):
            faults = two
        elif match is None:
            return False
    off = np.abs(np.clip(measured.pairs, 0.0, 1.0) - expected.right).max()
    how = f"largest difference to the weights {off:.1e}"
    findings.ok("model", f"the weights of {expected.model}" + ("" if faults else f", {how}"))
    for fault in faults:
        findings.fault(fault, how)
    findings.ok("template", "the prompt is the model's, once")
    findings.ok("labels", "scores are probabilities of yes")
    findings.ok("scale", "scores are probabilities")
    return True


def _two_faults(measured: MeasuredScores, expected: ExpectedScores) -> tuple[list[Fault], float]:
    """The prompt's fault beside a score's that explains the scores best, and how far from them that is."""
    found = {
        (score.fault.name, name): _apart(score.back(measured.pairs), rows)
        for score in SCORE_FAULTS
        for name, rows in expected.prompts.items()
        if name != "right" and np.ptp(rows) > _EXACT  # one score for all fits whatever is constant
    }
    names = min(found, key=lambda two: found[two])
    return [_FAULTS[name] for name in names], found[names]


def name_no_fault(measured: MeasuredScores, expected: ExpectedScores, findings: Findings) -> None:
    off = np.abs(np.clip(measured.pairs, 0.0, 1.0) - expected.right).max()
    findings.wrong(
        "model",
        f"another model, other weights or another prompt than {expected.model}'s: scores are off by {off:.2f}, and no "
        "known fault explains it",
        "serve the model that is meant; look at the server's template",
    )


def match_prompt_ids(measured: MeasuredScores, findings: Findings) -> None:
    """The server as its own reference: whole prompts as ids go round its template."""
    texts = measured.pairs[list(BY_IDS)]
    found = {name: _apart(texts, rows) for name, rows in measured.by_ids.items()}
    noise = measured.noise_of_logits
    match = nearest(found, "right", exact=max(_EXACT, noise), fits=max(0.05, noise)) if found else None
    if match is None:
        return
    if match.name == "right":
        findings.ok("template", "the prompt of its text route is that of exact ids")
    else:
        findings.fault(PROMPTS_BY_NAME[match.name].fault, "the scores of such ids")


def match_prompt_counts(subject: RerankEndpoint, measured: MeasuredScores, findings: Findings) -> None:
    """By the tokens that the server says it has read, in two requests that must agree."""
    alone, four = measured.counted
    description = subject.description
    if description is None or alone is None or four is None or not subject.engine.dialect.counts_prompts:
        return
    task = description.instruction or DEFAULT_INSTRUCTION
    for name, write in PROMPTS_BY_NAME.items():
        own = [
            len(write.ids(query, text, task, description.tokenizer))
            for query, text in PAIRS[: len(RED_PLANET.documents)]
        ]
        if (own[MARS], sum(own)) != (alone, four):
            continue
        if name == "right":
            findings.unknown("template", "the server reads as many tokens as the prompt has; not which", WEIGHTS)
        elif name.startswith(("missing", "twice", "no think block")):
            findings.fault(write.fault, f"the server counts {alone} tokens of one pair")
        return


def match_published_scores(
    subject: RerankEndpoint | RerankComponent, measured: MeasuredScores, findings: Findings
) -> None:
    """By what was published of the 0.6B."""
    if subject.name != golden.RERANKER:
        return
    places, published = list(golden.PROBABILITIES), np.array(list(golden.PROBABILITIES.values()))
    maps = {"right": RIGHT_SCORE, **{one.fault.name: one for one in SCORE_FAULTS}}
    off = {
        name: float(np.abs(_or_far(one.back(measured.pairs)[places]) - published).max()) for name, one in maps.items()
    }
    name = min(off, key=lambda one: off[one])
    if off[name] <= golden.CLOSE:
        how = f"the published scores of {subject.name}, within {off[name]:.3f}"
        if name != "right":
            findings.fault(maps[name].fault, how)
        for check in ("model", "template", "labels", "scale"):
            findings.ok(check, how)
    elif off["right"] > golden.FAR and "template" not in findings:
        findings.wrong(
            "template",
            f"not the published scores of {subject.name} (off by {off['right']:.2f}): the template is missing or "
            "another, or another model is served",
            f"{WEIGHTS} names which",
        )


def _apart(found: Rows, expected: Rows) -> float:
    return logit_distance(found, expected) if np.isfinite(found).all() else float("inf")


def _or_far(values: Rows) -> Rows:
    return np.where(np.isfinite(values), values, 9.0)
