"""Checks of an embedding endpoint that need nothing but its answers: norm, newlines, batches, order, formats."""

from collections.abc import Sequence

import numpy as np

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError
from qwen3_inference.faults.embedding import TEXT_FAULTS
from qwen3_inference.remote.failures import RefusedError
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.compare import ALIKE, distances, how_far, unit
from qwen3_inference.verify.embedding_measuring import SENT, Measured
from qwen3_inference.verify.probes import FLAT, LINES, NOT_FINITE, PADDED
from qwen3_inference.verify.results import Findings
from qwen3_inference.verify.subjects import NO_ANSWER, Component, Endpoint

_BATCH_WRONG, _BATCH_FINE = 1e-2, 1e-3
"""1 - cosine of one text's vectors: bfloat16 in batches of another size stays below the second."""
_NORM = 2e-3
DECIDES = "--embed-weights MODEL"
_FAULTS = {one.fault.name: one.fault for one in TEXT_FAULTS}


def check_norm(measured: Measured, findings: Findings) -> None:
    norms = np.linalg.norm(measured.documents, axis=1)
    if np.abs(norms - 1).max() <= _NORM:
        findings.ok("norm", "vectors have length 1")
        return
    findings.wrong(
        "norm",
        f"vectors are not normalised: their lengths go from {norms.min():.3g} to {norms.max():.3g}",
        "RemoteEmbeddingEngine normalises them; for other clients turn normalisation on (TEI: normalize; vLLM: "
        "use_activation; llama.cpp: embd_normalize 2), or compare by cosine only",
    )


def check_newlines(measured: Measured, findings: Findings, sends_ids: bool) -> None:
    flat = measured.same(measured.of(LINES), measured.of(FLAT))
    stripped = measured.same(measured.of(PADDED), measured.of(PADDED.strip()))
    if flat:
        findings.fault(_FAULTS["newline to blank"], "a text with newlines and one with blanks get the same vector")
    elif stripped:
        findings.unknown(
            "newlines", "a text with blanks around it and one without get the same vector: they may be cut off", DECIDES
        )
    elif flat is None or stripped is None:
        findings.unknown("newlines", "vectors differ from batch to batch more than by newlines", DECIDES)
    else:
        how = "ids are sent, in which texts stay as they are" if sends_ids else "newlines and blanks change the vector"
        findings.ok("newlines", how)


def check_order(measured: Measured, findings: Findings) -> bool:
    """Whether rows come in the order of the texts; where not, batches cannot be told apart."""
    alone, batch = measured.first, measured.documents
    near = distances(np.repeat(alone, len(batch), axis=0), batch)
    elsewhere = [place for place in range(1, len(SENT)) if near[place] <= ALIKE]
    moved = near[0] > _BATCH_WRONG and bool(elsewhere)
    if not moved:
        matched = distances(batch, measured.backward[::-1])
        lost = [place for place in range(len(SENT)) if matched[place] > _BATCH_WRONG]
        moved = len(lost) > 1 and all(
            min(distances(np.repeat(batch[[place]], len(SENT), axis=0), measured.backward)) <= ALIKE for place in lost
        )
    if moved:
        findings.wrong(
            "order",
            "vectors come in another order than their texts",
            "mend the server or the proxy before it: each vector needs the index of its text",
        )
        return False
    findings.ok("order", "each text has its own vector, at its place")
    return True


def check_batch(measured: Measured, findings: Findings) -> None:
    noise = measured.noise
    if noise > _BATCH_WRONG:
        pair = distances(np.repeat(measured.first, 2, axis=0), measured.pair).max()
        how = "a text beside a second copy of itself" if pair > _BATCH_WRONG else "a text beside others"
        findings.wrong(
            "batch",
            f"a text's vector depends on the batch: {how} has another one than alone (cosine {1 - noise:.3f})",
            "update the server (TEI had this for texts of equal length), or send one text a request (batch_size=1); "
            "turn a cache before it off",
        )
    elif noise > _BATCH_FINE:
        findings.unknown(
            "batch",
            f"vectors of one text differ by {noise:.1e} (1 - cosine) from batch to batch",
            "more than rounding of bfloat16 in most models; serve it in float32 to see whether it stays",
        )
    else:
        findings.ok("batch", f"alone, twice and among others: {how_far(noise, ' (1 - cosine)')}")


def check_numbers(subject: Endpoint | Component, findings: Findings) -> None:
    remedy = "serve the model in bfloat16 or float32: float16 overflows on large activations"
    try:
        rows = subject.documents(NOT_FINITE).rows
    except EngineUnavailableError as error:
        findings.wrong("numbers", f"no vectors for texts that overflow in float16: {error}", remedy)
    except (RefusedError, EngineResponseError) as error:
        findings.wrong("numbers", f"the answer holds what is no vector: {error}", remedy)
    else:
        judge_numbers(rows, findings)


def judge_numbers(rows: Rows, findings: Findings) -> None:
    remedy = "serve the model in bfloat16 or float32: float16 overflows on large activations"
    if not np.isfinite(rows).all():
        findings.wrong("numbers", "vectors hold NaN or infinity", remedy)
    elif not rows.any(axis=1).all():
        findings.wrong("numbers", "vectors of nothing but zeros", remedy)
    else:
        findings.ok("numbers", "finite, also for texts that overflow in float16")


def check_base64(subject: Endpoint | Component, measured: Measured, findings: Findings) -> None:
    if not isinstance(subject, Endpoint) or not subject.dialect.takes_base64:
        findings.not_applicable("base64", "vectors come as numbers")
        return
    texts = SENT[:2]
    inputs = [subject.ids(text) for text in texts] if subject.as_tokens else list(texts)
    remedy = "the client asks for numbers instead; update the server or the proxy before it"
    try:
        rows = subject.engine.ask_raw(inputs, as_base64=True).rows
    except RefusedError:
        findings.ok("base64", "refused; numbers are asked for instead")
        return
    except NO_ANSWER as error:
        findings.wrong("base64", f"base64 is answered with what is no vector: {error}", remedy)
        return
    if rows.shape != measured.documents[:2].shape:
        widths = f"{rows.shape[1]} numbers instead of {measured.documents.shape[1]}"
        findings.wrong("base64", f"vectors in base64 have {widths}", remedy)
    elif not np.isfinite(rows).all() or distances(rows, measured.documents[:2]).max() > _BATCH_WRONG:
        findings.wrong("base64", "vectors in base64 are others than as numbers", remedy)
    else:
        findings.ok("base64", "equal to the numbers")


def check_dimensions(subject: Endpoint | Component, measured: Measured, findings: Findings) -> None:
    """What the server does with `dimensions`, which the client never sends: it cuts and normalises itself."""
    if not isinstance(subject, Endpoint):
        findings.not_applicable("dimensions", "a client's own affair; vectors are judged as they come")
        return
    texts: Sequence[str] = SENT[:2]
    inputs = [subject.ids(text) for text in texts] if subject.as_tokens else list(texts)
    whole = measured.documents[:2]
    size = max(1, min(256, whole.shape[1] // 2))
    here = "; the client asks for whole vectors, cuts and normalises them"
    try:
        rows = subject.engine.ask_raw(inputs, more={"dimensions": size}).rows
    except NO_ANSWER:
        findings.ok("dimensions", f"refused by the server{here}")
        return
    remedy = "leave `dimensions` to the client, as RemoteEmbeddingEngine does"
    cut = unit(whole)[:, :size]
    if rows.shape[1] == whole.shape[1]:
        findings.ok("dimensions", f"ignored by the server{here}")
    elif rows.shape[1] != size or distances(rows, cut).max() > _BATCH_WRONG:
        findings.wrong(
            "dimensions", f"asked for {size} numbers, the server gives others than the first of the whole", remedy
        )
    elif np.abs(np.linalg.norm(rows, axis=1) - 1).max() > _NORM:
        findings.wrong(
            "dimensions",
            f"cut to {size} by the server and not renormalised (length {np.linalg.norm(rows[0]):.3f})",
            remedy,
        )
    else:
        findings.ok("dimensions", "cut and normalised by the server as by the client")
