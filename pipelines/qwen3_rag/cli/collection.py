"""`qwen3-rag info` and `drop`: the collection as it is, and its end. Neither needs a model."""

from __future__ import annotations

from typing import Annotated

import typer

from qwen3_rag.cli.options import AsJson, command
from qwen3_rag.config import RagConfig, shown_settings
from qwen3_rag.config_file import find_toml
from qwen3_rag.errors import ConfigError


def register(app: typer.Typer) -> None:
    command(app, "info", epilog="Example: qwen3-rag info --json")(info_command)
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
