"""Vectors that no single fault explains: a server's fault beside a client's, texts that are cut, or another model."""

from collections.abc import Mapping
from dataclasses import replace

from qwen3_inference.faults.embedding import REWRITES, RIGHT, TextFault
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import FITS, distances, nearest
from qwen3_inference.verify.expected import BY_NAME, ComputedVectors, ExpectedVectors
from qwen3_inference.verify.probes import DOCUMENTS
from qwen3_inference.verify.results import Findings

_PLAIN = [place for place, text in enumerate(DOCUMENTS) if all(one.rewrite(text) == text for one in REWRITES.values())]
"""Documents that no client rewrites: they show what the server does."""


def match_two_faults(rows: Rows, expected: ExpectedVectors, findings: Findings, rounding: float) -> TextFault | None:
    """What is wrong with all texts, and how some are rewritten besides; None where that explains nothing."""
    found = {name: float(distances(rows[_PLAIN], every[_PLAIN]).max()) for name, every in expected.documents.items()}
    of_server = nearest(found, "right", exact=rounding, fits=FITS)
    if of_server is None:
        return None
    server = BY_NAME[of_server.name]
    client, fits = _rewrite(rows, server, expected, rounding)
    if server is RIGHT and not fits:
        return None  # rather texts that are cut
    findings.ok("model", f"the weights of {expected.model}")
    if server is not RIGHT:
        findings.fault(server.fault, of_server.cosines)
    if client is not None:
        findings.fault(client.fault, f"beside {server.fault.found}" if server is not RIGHT else "")
    return replace(server, rewrite=client.rewrite) if client else server


def _rewrite(
    rows: Rows, server: TextFault, expected: ExpectedVectors, rounding: float
) -> tuple[TextFault | None, bool]:
    """How texts are rewritten before what `server` does to them, and whether that explains them all."""
    if not isinstance(expected, ComputedVectors):
        return None, False
    ways = {"right": server, **{name: replace(server, rewrite=one.rewrite) for name, one in REWRITES.items()}}
    found = {name: float(distances(rows, expected.vectors(DOCUMENTS, one)).max()) for name, one in ways.items()}
    match = nearest(found, "right", exact=rounding, fits=FITS)
    return (REWRITES.get(match.name), True) if match else (None, False)


def name_no_fault(expected: ExpectedVectors, rows: Rows, findings: Findings, found: Mapping[str, float]) -> None:
    """Perhaps the longer texts are cut, else it is another model."""
    if cut := _shortest_cut(rows, expected):
        findings.ok("model", f"the weights of {expected.model}")
        findings.wrong("truncation", f"texts are cut at {cut} tokens, in silence", "start the server with more")
        for check in ("eos", "pooling"):
            findings.ok(check, "right where nothing is cut")
        return
    near = min(found, key=lambda name: found[name])
    findings.wrong(
        "model",
        f"another model or other weights than {expected.model}: cosine {1 - found['right']:.3f}, and no known fault "
        f"explains it (nearest: {near}, {1 - found[near]:.3f})",
        "serve the model that is meant; 4-bit files differ by more than 8-bit ones",
    )


def _shortest_cut(rows: Rows, expected: ExpectedVectors) -> int | None:
    if not isinstance(expected, ComputedVectors):
        return None
    here = expected.reference
    sequences = [RIGHT.ids(here.document_prompt + text, here.tokenizer, "") for text in DOCUMENTS]
    for cut in range(2, max(map(len, sequences))):
        ends: tuple[list[int], list[int]] = (here.end_ids, [])
        for end in ends:
            kept = [ids if len(ids) <= cut else [*ids[: cut - len(end)], *end] for ids in sequences]
            if distances(rows, here.vectors(kept)).max() <= FITS:
                return cut
    return None
