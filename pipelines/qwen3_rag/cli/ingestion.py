"""`qwen3-rag ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qwen3_rag.cli.options import AsJson, Quiet, command
from qwen3_rag.config import RagConfig

EPILOG = (
    "Examples: qwen3-rag ingest docs/ · qwen3-rag ingest docs/ notes.txt --prune · "
    "qwen3-rag ingest beir/corpus.jsonl --collection beir --hybrid · qwen3-rag ingest docs/ --overwrite"
)


def register(app: typer.Typer) -> None:
    command(app, "ingest", settings=("ingest",), epilog=EPILOG)(ingest_command)


def ingest_command(
    config: RagConfig,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders: Markdown, text, BEIR corpus.jsonl.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Drop and recreate the collection first.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove sources below PATHS that are gone.")] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="What PATH is called in the names of its documents. [its own name]")
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over a collection that does not say which model filled it.")
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Also read what links in a folder reach outside it.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring the collection in line with files and folders.

    Only what is new or changed is embedded; run it again at any time, also after an interruption. Files that cannot be
    read are listed and skipped (exit code 3).
    """
    from qwen3_rag.cli.console import note, print_json, print_report, progress_bar
    from qwen3_rag.session import Session

    with Session(config) as session, progress_bar(not quiet) as on_progress:
        report = session.ingest(
            paths,
            prune=prune,
            name=name,
            overwrite=overwrite,
            adopt=adopt,
            follow_links=follow_links,
            on_progress=on_progress,
        )
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
