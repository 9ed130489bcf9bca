"""The console script `qwen3-rag`. Only what `--help` needs is imported here; each command imports its own work."""

from __future__ import annotations

from importlib import import_module

import typer

app = typer.Typer(
    name="qwen3-rag",
    help="Ask your documents: Qwen3 embeddings in Milvus, Qwen3 reranking, answers with sources.\n\n"
    "Start offline with [bold]qwen3-rag demo[/bold], then [bold]qwen3-rag ingest docs/ --embed-model tiny[/bold] and "
    '[bold]qwen3-rag search "How is data stored?" --embed-model tiny[/bold].',
    epilog="Every option is also an environment variable (QWEN3_RAG_URI, ...) and a line of qwen3_rag.toml. "
    "Exit codes: 0 done, 2 usage or configuration, 3 done in part, 4 something needed is unavailable, 1 a bug.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # their frames would print local variables, secrets among them
)

# Modules that register sub-commands when they are imported.
for _module in ("ingestion", "questions", "evaluation", "collection", "serving"):
    import_module(f"qwen3_rag.cli.{_module}").register(app)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
