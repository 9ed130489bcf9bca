"""The commands of `qwen3-rag`. Only what `--help` needs is imported here; each command imports its own work."""

from __future__ import annotations

import typer

from qwen3_rag.cli import collection, demo, evaluation, ingestion, questions, serving, tuning, verification

app = typer.Typer(
    name="qwen3-rag",
    help="Ask your documents: Qwen3 embeddings in Milvus, Qwen3 reranking, answers with sources.\n\n"
    "Start offline with [bold]qwen3-rag demo[/bold], then [bold]qwen3-rag ingest docs/ --embed-model tiny[/bold] and "
    '[bold]qwen3-rag search "How is data stored?" --embed-model tiny[/bold].',
    epilog="Every option is also an environment variable (QWEN3_RAG_URI, ...) and a line of qwen3_rag.toml. "
    "Exit codes: 0 done, 2 usage or configuration, 3 done in part, 4 something needed is unavailable, 5 a check said "
    "no, 1 a bug.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # their frames would print local variables, secrets among them
)

for _commands in (ingestion, questions, evaluation, tuning, collection, demo, serving, verification):
    _commands.register(app)
