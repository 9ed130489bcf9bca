"""`qwen3-rag info`, `drop` and `demo`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qwen3_rag.cli.options import AsJson, command
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_rag.config import RagConfig

DEMO_QUESTIONS = (
    "Why does a reranker read the question and the passage together?",
    "Wie lange soll grüner Tee ziehen?",
    "検索の前に文書を分割するのはなぜですか",
)


def register(app: typer.Typer) -> None:
    command(app, "info", epilog="Example: qwen3-rag info --json")(info_command)
    command(app, "drop", epilog="Example: qwen3-rag drop --collection beir_cranfield --yes")(drop_command)
    command(
        app,
        "demo",
        settings=("llm", "llm_base_url", "llm_timeout"),
        epilog="Nothing is downloaded. The database is temporary, unless --uri is given.",
    )(demo_command)


def info_command(config: RagConfig, as_json: AsJson = False) -> None:
    """Show the settings in effect, where they come from, and the collection."""
    from qwen3_rag.cli.console import err, out, print_json
    from qwen3_rag.config import find_toml
    from qwen3_rag.store.info import collection_info, shown_settings

    settings = shown_settings(config)
    toml = find_toml()
    collection = collection_info(config)
    if as_json:
        print_json({"config_file": str(toml) if toml else None, "settings": settings, "collection": collection})
        return
    from rich.table import Table

    for title, rows in (("Settings", settings), ("Collection", collection)):
        table = Table("name", "value", title=title, title_justify="left", show_header=False)
        for name, value in (rows or {"": "not there yet; `qwen3-rag ingest PATH` makes it"}).items():
            table.add_row(str(name), "" if value is None else str(value))
        out.print(table)
    err.print(f"configuration file: {toml or 'none'}", markup=False)


def drop_command(
    config: RagConfig, yes: Annotated[bool, typer.Option("--yes", help="Do it; without this nothing is done.")] = False
) -> None:
    """Delete the collection with everything in it."""
    from qwen3_rag.cli.console import note
    from qwen3_rag.store.vector_store import drop_collection

    if not yes:
        raise ConfigError(f"this deletes collection {config.collection!r} in {config.uri}; say --yes to do it")
    there = drop_collection(config)
    note(f"collection {config.collection!r} " + ("dropped" if there else "was not there"))


def demo_command(config: RagConfig) -> None:
    """See everything work, offline: ingest the bundled knowledge base, compare, search, answer.

    Runs on the small bundled models. The answer is written by the configured language model, or else quotes the best
    passages.
    """
    from qwen3_rag.cli.console import note, print_report
    from qwen3_rag.cli.ingestion import run_ingest

    knowledge = Path(__file__).parent.parent / "knowledge"
    given = config.model_fields_set
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qwen3-rag-") as folder:
        # Set in the environment or not, the demo takes the bundled pair: it must need nothing else.
        changes: dict[str, Any] = {"embed_model": "tiny", "rerank_model": "same", "dimensions": None, "mode": "dense"}
        changes |= {"top_k": 10, "top_n": 10}
        if "embed_model" in given and config.embed_model != "tiny":
            note(f"the demo runs on the bundled pair tiny, not on {config.embed_model}")
        if "uri" not in given:
            changes |= {"uri": f"{folder}/demo.db"}
        if "collection" not in given:
            changes |= {"collection": "demo"}
        config = config.model_copy(update=changes)
        note("1. Ingest: split at headings, embed, store in Milvus Lite")
        print_report(run_ingest(config, [knowledge]))
        _demo_questions(config)
    note(f"\nDone in {time.monotonic() - started:.0f} s. Now your own: qwen3-rag ingest FOLDER --embed-model tiny")


def _demo_questions(config: RagConfig) -> None:
    from qwen3_rag.cli.console import note, out, print_comparison, print_result, print_rows, print_sources
    from qwen3_rag.cli.questions import searcher, write_answer

    with searcher(config) as run:
        note("\n2. Compare: what the second stage makes of the first stage's ten candidates")
        result, nodes = run(DEMO_QUESTIONS[0])
        print_comparison(result)
        note("\n3. Search, in other languages")
        for question in DEMO_QUESTIONS[1:]:
            print_result(run(question)[0], limit=2)
        note(f"4. Answer: {DEMO_QUESTIONS[0]}")
        best = result.best[:3]
        answer, problem = write_answer(config, DEMO_QUESTIONS[0], nodes[:3], stream=False)
        if answer is not None:
            out.print(answer, markup=False)
            print_sources(best)
        else:
            note(f"(no language model: {problem}. These are the best passages, quoted.)")
            print_rows(best)
