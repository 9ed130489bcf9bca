"""What `verify` says of the servers and clients that people use, and what the conformance suite says of the clients.

    python examples/benchmarks/verify_endpoints.py --vllm VENV --example-template qwen3_reranker.jinja

VENV is a virtual environment with vLLM; `llama_cpp_server.py` says what llama.cpp needs, and the clients are

    pip install llama-index-embeddings-{openai-like,text-embeddings-inference,ollama} \
        llama-index-postprocessor-{tei,xinference}-rerank

The template is vLLM's examples/pooling/score/template/qwen3_reranker.jinja; without it that server is left out. TEI and
Ollama have no server for CPUs on the package registry: `protocol_server.py` speaks their protocols in front of vLLM.
Checkpoints have random weights, so that every fault moves every vector. Each endpoint is verified with the tokenizer
alone and with the weights. Ends with one JSON line; exit code 5 where verify calls something wrong that is right, or
does not name what is wrong.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import add_run_options, describe, finish_options
from qwen3_conformance import (
    EMBEDDING_CHECKS,
    POSTPROCESSOR_CHECKS,
    ConformanceError,
    EmbeddingSubject,
    NotApplicableError,
    PostprocessorSubject,
)
from qwen3_inference.verify import Check, Report, scores_of, vectors_of, verify_embedding, verify_rerank
from report import heading, json_line, table
from shapes import make_checkpoint
from verify_cases import CONTEXT, Case, Setting, embedding_cases, rerank_cases

LONG = CONTEXT - 48
Verify = Callable[..., tuple[Check, ...]]


def found_in(checks: Sequence[Check]) -> dict[str, str]:
    return {one.check: one.found for one in checks if one.verdict == "wrong"}


def judged(case: Case, verify: Verify, expected: Any) -> dict[str, Any]:
    """What is wrong by the tokenizer alone, and by the weights."""
    began = time.perf_counter()
    without = verify(case.make(), published=False, long_tokens=LONG)
    with_weights = verify(case.make(), expected=expected, published=False, long_tokens=LONG)
    named, seen = found_in(with_weights), found_in(without)
    return {
        "server": case.server,
        "client": case.client,
        "known": sorted(case.wrong),
        "with_weights": named,
        "without": seen,
        "verdict": Report(embedding=with_weights).verdict,
        "unknown": {one.check: one.found for one in with_weights if one.verdict == "unknown"},
        "as_known": set(named) == case.wrong and set(seen) <= case.wrong,
        "seconds": time.perf_counter() - began,
    }


def conformance(make: Callable[[], Any], is_embedding: bool) -> dict[str, Any]:
    """How many checks pass, and the names and words of those that do not."""
    subject: Any = EmbeddingSubject(make) if is_embedding else PostprocessorSubject(make)
    checks: Sequence[Callable[[Any], None]] = EMBEDDING_CHECKS if is_embedding else POSTPROCESSOR_CHECKS
    counts: Counter[str] = Counter()
    failed = {}
    for check in checks:
        try:
            check(subject)
            counts["passed"] += 1
        except NotApplicableError:
            counts["not applicable"] += 1
        except ConformanceError as error:
            failed[check.__name__] = str(error)
        except Exception as error:
            failed[check.__name__] = f"raises {type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return {**counts, "failed": failed}


def run(cases: Iterator[Case], verify: Verify, expected: Any, is_embedding: bool) -> Iterator[dict[str, Any]]:
    for case in cases:
        row = judged(case, verify, expected)
        if case.conforms:
            row["conformance"] = conformance(case.make, is_embedding)
        print(row, file=sys.stderr, flush=True)
        yield row


def show(rows: Sequence[dict[str, Any]]) -> None:
    head = ("server", "client", "wrong, with weights", "wrong, without")
    cells = []
    for row in rows:
        words = [", ".join(row[level]) or "nothing" for level in ("with_weights", "without")]
        cells.append([row["server"], row["client"], *words])
    print(table(head, cells), end="\n\n")
    for row in rows:
        if row["with_weights"]:
            print(f"{row['server']}, {row['client']}:\n")
            print("\n".join(f"- {check}: {words}" for check, words in row["with_weights"].items()), end="\n\n")
    for row in rows:
        if "conformance" in row:
            found = row["conformance"]
            skipped = found.get("not applicable", 0)
            print(f"{row['client']}: {found.get('passed', 0)} passed, {skipped} not applicable, fails:\n")
            print("\n".join(f"- {name}: {words}" for name, words in found["failed"].items()) or "- none", end="\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, required=True, help="virtual environment with vLLM")
    parser.add_argument("--example-template", type=Path, help="vLLM's own example of a template")
    parser.add_argument("--only", choices=["embedding", "rerank"], help="one kind of endpoints")
    add_run_options(parser, repeats=1)
    parser.set_defaults(shape="small", dtype="float32")
    options = finish_options(parser.parse_args())
    made = {
        kind: make_checkpoint(kind, options.shape, options.checkpoints, options.tokenizers)
        for kind in ("embedding", "reranker")
    }
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="verify-endpoints-") as name:
        here = Setting(options.vllm, made["embedding"], made["reranker"], Path(name), options.example_template)
        if options.only != "rerank":
            vectors = vectors_of(str(made["embedding"]), device="cpu")
            rows += run(embedding_cases(here), verify_embedding, vectors, True)
        if options.only != "embedding":
            scores = scores_of(str(made["reranker"]), device="cpu")
            rows += run(rerank_cases(here), verify_rerank, scores, False)
    print(heading(describe(options)), end="\n\n")
    show(rows)
    passed = all(row["as_known"] for row in rows)
    print(json_line(describe(options), rows, passed=passed))
    if not passed:
        raise SystemExit(5)


if __name__ == "__main__":
    main()
