"""`qwen3-rag info`, `show`, `sources` and `drop`: the collection as it is, and its end. None of them needs a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from qwen3_rag.cli.options import AsJson, command
from qwen3_rag.config import RagConfig, shown_settings
from qwen3_rag.config_file import find_toml
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_rag.query.results import StoredDocuments
    from qwen3_rag.serve.remote_session import RemoteSession


def register(app: typer.Typer) -> None:
    command(app, "info", epilog="Example: qwen3-rag info --json")(info_command)
    command(
        app,
        "show",
        settings=("service",),
        epilog="Example: qwen3-rag show docs/faq.md --from 10 --count 5 · names are those that `search` shows",
    )(show_command)
    command(app, "sources", settings=("service",), epilog="Example: qwen3-rag sources docs/ --json")(sources_command)
    command(app, "drop", epilog="Example: qwen3-rag drop --collection beir_cranfield --yes")(drop_command)


def info_command(config: RagConfig, as_json: AsJson = False) -> None:
    """Show the settings in effect, where they come from, and the collection."""
    from rich.table import Table

    from qwen3_rag.cli.console import err, out, print_json
    from qwen3_rag.store.collection import collection_info

    settings = shown_settings(config)
    toml = find_toml()
    collection = collection_info(config)
    if as_json:
        print_json({"config_file": str(toml) if toml else None, "settings": settings, "collection": collection})
        return
    for title, rows in (("Settings", settings), ("Collection", collection)):
        table = Table("name", "value", title=title, title_justify="left", show_header=False)
        for name, value in (rows or {"": "not there yet; `qwen3-rag ingest PATH` makes it"}).items():
            table.add_row(str(name), "" if value is None else str(value))
        out.print(table)
    err.print(f"configuration file: {toml or 'none'}", markup=False)


def show_command(
    config: RagConfig,
    source: Annotated[str, typer.Argument(help="The document's name, as a search shows it.", show_default=False)],
    start: Annotated[int, typer.Option("--from", metavar="N", min=0, help="The first passage, counted from 0.")] = 0,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the passages of a document in their order."""
    from qwen3_rag.cli.console import note, print_json, print_passages

    with _documents(config) as documents:
        found = documents.show(source, start, count)
    if as_json:
        print_json(found.model_dump())
        return
    print_passages(found.passages)
    end = start + len(found.passages)
    rest = f"; --from {end} reads on" if end < found.total else ""
    note(f"{len(found.passages)} of {found.total} passages of {source}{rest}")


def sources_command(
    config: RagConfig,
    prefix: Annotated[str, typer.Argument(help="Only names that begin like this.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1_000, help="How many to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the documents of the collection, with the number of their passages."""
    from qwen3_rag.cli.console import note, out, print_json

    with _documents(config) as documents:
        found = documents.list_sources(prefix, limit)
    if as_json:
        print_json(found.model_dump())
        return
    for one in found.sources:
        out.print(f"{one.passages:6}  {one.source}", markup=False)
    rest = f" of {found.total}; give a PREFIX, or a --limit" if len(found.sources) < found.total else ""
    note(f"{len(found.sources)} documents{rest}")


@contextmanager
def _documents(config: RagConfig) -> Iterator[RemoteSession | StoredDocuments]:
    """A service's, or those of a database opened here, for which no model is needed."""
    from qwen3_rag.cli.sessions import service_for

    if (session := service_for(config)) is not None:
        with session:
            yield session
        return
    from qwen3_rag.query.results import StoredDocuments
    from qwen3_rag.store.opening import open_store

    store = open_store(config, None)
    try:
        yield StoredDocuments(store)
    finally:
        store.close()


def drop_command(
    config: RagConfig, yes: Annotated[bool, typer.Option("--yes", help="Do it; without this nothing is done.")] = False
) -> None:
    """Delete the collection with everything in it."""
    from qwen3_rag.cli.console import note
    from qwen3_rag.store.opening import drop_collection

    if not yes:
        raise ConfigError(f"this deletes collection {config.collection!r} in {config.uri}; say --yes to do it")
    there = drop_collection(config)
    note(f"collection {config.collection!r} " + ("dropped" if there else "was not there"))
