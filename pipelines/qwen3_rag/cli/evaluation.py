"""`qwen3-rag evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qwen3_rag.cli.options import AsJson, Quiet, command
from qwen3_rag.config import RagConfig

if TYPE_CHECKING:
    from qwen3_rag.evaluation.beir import BeirData
    from qwen3_rag.evaluation.ranking import Run
    from qwen3_rag.session import Session

DEFAULT_TOP_K = 50


def register(app: typer.Typer) -> None:
    command(
        app,
        "evaluate",
        settings=("top_k", "mode", "hybrid", "batch_size"),
        epilog="Example: qwen3-rag evaluate data/cranfield --embed-model tiny. The corpus stays in the collection "
        "beir_NAME (or --collection); drop it with `qwen3-rag drop --collection beir_NAME --yes`.",
    )(evaluate_command)


def evaluate_command(
    config: RagConfig,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="corpus.jsonl, queries.jsonl, qrels/test.tsv.")],
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="FILE", help="Keep each ranking here; a later run goes on from it.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure both stages on a BEIR collection: nDCG@10, MRR@10, recall@50. `--top-k` is 50 here."""
    from qwen3_rag.cli.console import note, print_json, print_metrics, print_report, progress_bar
    from qwen3_rag.evaluation.beir import collection_name, read_beir
    from qwen3_rag.evaluation.ranking import measure
    from qwen3_rag.session import Session

    data = read_beir(folder)
    given = config.model_fields_set
    changes: dict[str, Any] = {} if "collection" in given else {"collection": collection_name(folder)}
    if "top_k" not in given:
        changes["top_k"] = DEFAULT_TOP_K
    # Every candidate is reranked: recall and the tail of nDCG need them all.
    config = config.model_copy(update=changes)
    config = config.model_copy(update={"top_n": config.top_k, "hybrid": config.hybrid or config.mode == "hybrid"})

    with Session(config) as session:
        with progress_bar(not quiet) as on_progress:
            report = session.ingest([data.corpus], prune=True, on_progress=on_progress)
        if not quiet:
            print_report(report)
        dense, reranked = _rank(session, data, runs, bar=not quiet)
    result = {"dense": measure(data.qrels, dense), "reranked": measure(data.qrels, reranked) if reranked else None}
    if as_json:
        print_json(result)
    else:
        print_metrics(result, len(data.qrels))
    if not report.complete:
        note(f"{len(report.skipped)} documents were skipped")
        raise typer.Exit(3)


def _rank(session: Session, data: BeirData, runs: Path | None, *, bar: bool) -> tuple[Run, Run | None]:
    from qwen3_rag.cli.console import progress_bar
    from qwen3_rag.evaluation.ranking import rank_all, read_runs
    from qwen3_rag.ingestion.report import Progress

    config = session.config
    settings = {
        "embedding": str(session.models.identity),
        "reranker": config.reranker_name,
        "instructions": [config.instruction, config.query_instruction, config.rerank_instruction],
        "top_k": config.top_k,
        "mode": config.mode,
        "collection": config.collection,
    }
    done = read_runs(runs, settings) if runs else {}
    file = runs.open("w", encoding="utf-8") if runs else None
    try:
        with progress_bar(bar, "questions") as on_progress:
            count = 0

            def keep(question: str, ranked: dict[str, Any]) -> None:
                nonlocal count
                count += 1
                if file:
                    file.write(json.dumps(ranked) + "\n")
                    file.flush()
                if on_progress:
                    on_progress(Progress(count, len(data.queries), count, f"question {question}"))

            if file:  # what was done before is written again first, whole lines only
                file.write(json.dumps({"settings": settings}) + "\n")
            return rank_all(data, session.retrieve, done=done, on_question=keep)
    finally:
        if file:
            file.close()
