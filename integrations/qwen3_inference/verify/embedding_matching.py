"""Which fault explains the vectors: model, end token, pooling and prompt, told by the best evidence there is."""

import numpy as np

from qwen3_inference import golden
from qwen3_inference.faults.embedding import TEXT_FAULTS, TextFault
from qwen3_inference.local.checkpoint import OFFICIAL_DIMENSIONS
from qwen3_inference.remote.description import Description
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import ALIKE, EXACT, FITS, ROUGH, distances, nearest, unit
from qwen3_inference.verify.embedding_measuring import BY_IDS, SENT, Measured
from qwen3_inference.verify.embedding_unexplained import match_two_faults, name_no_fault
from qwen3_inference.verify.expected import BY_NAME, QUERIES_BY_NAME, ExpectedVectors
from qwen3_inference.verify.probes import CHINA, DOCUMENTS, GRAVITY
from qwen3_inference.verify.results import Findings
from qwen3_inference.verify.subjects import Component, Endpoint

WEIGHTS = "--embed-weights MODEL with the same model, or --against a file that `verify --write` made of it"


def match_expected(measured: Measured, expected: ExpectedVectors, findings: Findings) -> TextFault | None:
    """By what the model itself gives and what each fault would make of it; returns what fits, RIGHT for none."""
    rows = measured.documents[: len(DOCUMENTS)]
    if rows.shape[1] != expected.width and not _is_cut(rows, expected, findings):
        return None
    found = {"right": float(distances(rows, expected.right).max())}
    rounding = max(EXACT, measured.noise)
    match = nearest(found, "right", exact=rounding, fits=rounding)
    if match is None:
        found |= {name: float(distances(rows, other).max()) for name, other in expected.documents.items()}
        match = nearest(found, "right", exact=rounding, fits=FITS)
    if match is not None:
        how = f", 1 - cosine to the weights {match.from_right:.1e}" if match.name == "right" else ""
        findings.ok("model", f"the weights of {expected.model}{how}")
        fault, rounding = BY_NAME[match.name], max(rounding, 3 * match.distance)
        if match.name != "right":
            findings.fault(fault.fault, match.cosines)
    elif (two := match_two_faults(rows, expected, findings, rounding)) is not None:
        fault = two
    else:
        name_no_fault(expected, rows, findings, found)
        return None
    findings.ok("eos", "texts end in <|endoftext|>")
    findings.ok("pooling", "the last token's state")
    _match_queries(measured, expected, fault, findings, rounding)
    return fault


def _is_cut(rows: Rows, expected: ExpectedVectors, findings: Findings) -> bool:
    """Vectors that are the beginnings of whole ones are held against those."""
    width = rows.shape[1]
    size = f"vectors have {width} numbers, those of {expected.model} {expected.width}"
    if width < expected.width and distances(rows, expected.right).max() <= ROUGH:
        findings.wrong(
            "dimensions",
            f"{size}: the endpoint cuts them",
            "leave that to the client (dimensions=), which otherwise cannot offer more; harmless where it is wanted",
        )
        return True
    findings.wrong("model", f"another model: {size}", "serve the model that is meant, or name the one that is served")
    return False


def _match_queries(
    measured: Measured, expected: ExpectedVectors, texts: TextFault, findings: Findings, rounding: float
) -> None:
    if isinstance(measured.queries, str):
        findings.unknown("prompt", f"queries have no vector: {measured.queries}", "mend what is wrong first")
        return
    expectations = expected.queries(texts)
    if expectations is None:
        findings.unknown("prompt", "texts are wrong already", "mend that first, or give the weights")
        return
    found = {name: float(distances(measured.queries, rows).max()) for name, rows in expectations.items()}
    match = nearest(found, "right", exact=rounding, fits=FITS)
    if match is None:
        findings.wrong(
            "prompt",
            f"queries have another prompt than the model's (cosine {1 - found['right']:.3f})",
            "look at the query_instruction of the client, and at default prompts of the server",
        )
    elif match.name != "right":
        findings.fault(QUERIES_BY_NAME[match.name].fault, match.cosines)
    else:
        findings.ok("prompt", "queries have the model's prompt once, documents none")


def match_written(subject: Endpoint | Component, measured: Measured, published: bool, findings: Findings) -> None:
    """Another client as its own reference: a query's vector is that of the text which it makes of it."""
    if not measured.written or isinstance(measured.queries, str):
        return
    found = {name: float(distances(measured.queries[:1], row).max()) for name, row in measured.written.items()}
    match = nearest(found, "right", exact=max(EXACT, measured.noise), fits=max(ALIKE, 2 * measured.noise))
    if match is None:
        return
    fault = QUERIES_BY_NAME[match.name].fault
    if match.name == "right":
        findings.ok("prompt", "the vector of a query is that of its text behind the models' prompt")
    elif published and subject.name in OFFICIAL_DIMENSIONS:
        findings.fault(fault, "a query has the vector of such a text")
    else:
        said = f"{fault.found}, which is right only of a model that was trained so"
        findings.unknown("prompt", said, f"{WEIGHTS}; of an official model it is wrong: {fault.remedy}")


def match_ids(measured: Measured, findings: Findings) -> None:
    """The server as its own reference: exact ids go round its tokenizer, and show what becomes of texts."""
    texts = measured.documents[[SENT.index(text) for text in BY_IDS]]
    found = {name: float(distances(texts, rows).max()) for name, rows in measured.by_ids.items()}
    match = nearest(found, "right", exact=max(EXACT, measured.noise), fits=max(ALIKE, 2 * measured.noise))
    if match is None:
        return
    if match.name != "right":
        findings.fault(BY_NAME[match.name].fault, "the vector of a text is that of such ids")
        return
    findings.ok("eos", "the vector of a text is that of its ids with <|endoftext|>")
    findings.ok("prompt", "the server puts nothing before texts")


def match_counts(measured: Measured, description: Description, findings: Findings) -> None:
    """By the tokens that the server says it has read: one request must agree with another."""
    tokenizer, end = description.tokenizer, description.end_ids
    own = [len(ids) + len(end) for ids in tokenizer.encode(SENT)]
    differences = [
        counted - expected
        for counted, expected in zip(measured.counted, (own[0], sum(own)), strict=True)
        if counted is not None
    ]
    if len(differences) < 2:
        return
    first, all_of_them = differences
    if all_of_them != first * len(SENT):
        return
    if first == -len(end):
        findings.fault(BY_NAME["no end"].fault, "the server counts a token less for each text")
    elif (
        first > 0 and description.query_prompt and first >= len(tokenizer.encode([""], description.query_prompt)[0]) - 1
    ):
        findings.fault(BY_NAME["prompt before all"].fault, f"the server counts {first} tokens more for each text")
    elif first == 0 and "eos" not in findings:
        findings.unknown("eos", "the server counts one token behind each text, as it should; not which", WEIGHTS)
        if "prompt" not in findings:
            findings.ok("prompt", "the server counts no token more than the client sends")


def match_published(subject: Endpoint | Component, measured: Measured, findings: Findings) -> None:
    """By the sizes of the official models, and what their authors published of the 0.6B."""
    width = OFFICIAL_DIMENSIONS.get(subject.name)
    if width is None:
        return
    rows = measured.documents
    if rows.shape[1] != width:
        findings.wrong(
            "model",
            f"vectors have {rows.shape[1]} numbers, those of {subject.name} have {width}: another model or size",
            "serve the model that is meant, or name the one that is served",
        )
        return
    if subject.name != golden.EMBEDDER or isinstance(measured.queries, str):
        return
    begins = np.abs(unit(measured.of(golden.TEST))[0, :3] - golden.TEST_BEGINS).max()
    similarities = unit(measured.queries) @ unit(measured.of(CHINA, GRAVITY)).T
    off = float(max(begins, np.abs(similarities - golden.SIMILARITIES).max()))
    if off <= golden.CLOSE:
        findings.ok("model", f"the published values of {subject.name}, within {off:.3f}")
        findings.ok("eos", "the published values are met")
        findings.ok("pooling", "the published values are met")
        findings.ok("prompt", "the similarities of the model card are met")
    elif off > golden.FAR:
        findings.wrong(
            "model",
            f"not the published values of {subject.name} (off by {off:.2f}): other weights, pooling, prompt or end",
            f"{WEIGHTS} names which",
        )


def match_first_token(measured: Measured, findings: Findings) -> None:
    """Two texts that begin alike, each alone: in a causal model their first states are one."""
    fault = next(one.fault for one in TEXT_FAULTS if one.pooling == "cls")
    if measured.same(measured.first, measured.second):
        findings.fault(fault, "two texts with one beginning get one vector")
