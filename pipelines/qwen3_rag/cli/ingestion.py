"""`qwen3-rag ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qwen3_rag.cli.options import AsJson, Quiet, command

if TYPE_CHECKING:
    from qwen3_rag.config import RagConfig
    from qwen3_rag.ingestion.pipeline import IngestReport

EPILOG = (
    "Examples: qwen3-rag ingest docs/ · qwen3-rag ingest docs/ notes.txt --prune · "
    "qwen3-rag ingest beir/corpus.jsonl --collection beir --hybrid · qwen3-rag ingest docs/ --overwrite"
)


def register(app: typer.Typer) -> None:
    command(app, "ingest", settings=("hybrid", "chunk_size", "batch_size"), epilog=EPILOG)(ingest_command)


def ingest_command(
    config: RagConfig,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders: Markdown, text, BEIR corpus.jsonl.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Drop and recreate the collection first.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove sources below PATHS that are gone.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring the collection in line with files and folders.

    Only what is new or changed is embedded; run it again at any time, also after an interruption. Files that cannot be
    read are listed and skipped (exit code 3).
    """
    from qwen3_rag.cli.console import note, print_json, print_report
    from qwen3_rag.documents.walk import check_paths

    check_paths(paths)  # before --overwrite drops anything
    report = run_ingest(config, paths, overwrite=overwrite, prune=prune, bar=not quiet)
    if as_json:
        counts = {name: value for name, value in vars(report).items() if name != "skipped"}
        skipped = [{"source": source, "reason": reason} for source, reason in report.skipped]
        print_json({**counts, "skipped": skipped})
    if quiet:
        for source, reason in report.skipped:
            note(f"skipped {source}: {reason}")
    else:
        print_report(report)
    if not report.complete:
        raise typer.Exit(3)


def run_ingest(
    config: RagConfig, paths: list[Path], *, overwrite: bool = False, prune: bool = False, bar: bool = True
) -> IngestReport:
    """Models, store and ingest in a row, with a progress bar."""
    from qwen3_rag.cli.console import progress_bar
    from qwen3_rag.documents.chunking import PassageParser
    from qwen3_rag.ingestion.pipeline import ingest
    from qwen3_rag.models import load_models
    from qwen3_rag.store.vector_store import open_store

    models = load_models(config, rerank=False)
    store = open_store(config, models.identity, create=True, overwrite=overwrite)
    try:
        with progress_bar(bar) as on_progress:
            return ingest(
                paths,
                store=store,
                embed_model=models.embed,
                parser=PassageParser(chunk_size=config.chunk_size, chunk_overlap=config.chunk_overlap),
                prune=prune,
                batch_size=config.batch_size,
                on_progress=on_progress,
            )
    finally:
        store.close()
