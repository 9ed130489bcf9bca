"""`--html FILE`, of the commands that write a page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError

HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also write a page, one file with everything in it, to be mailed."),
]


def check_html(path: Path | None) -> None:
    """Before the work: whether the page can be written there.

    Raises:
        ConfigError: it cannot.
    """
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"--html {str(path)!r} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"--html {str(path)!r}: there is no folder {str(path.parent)!r}; make it, or name another")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--html {str(path)!r}: {str(path.parent)!r} is not writable; name another folder")


def write_html(path: Path, page: str) -> None:
    """The file is whole or not there."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(page, encoding="utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(f"--html {str(path)!r}: {error.strerror or error}") from None


def facts(config: RagConfig, **more: object) -> Mapping[str, object]:
    """The settings that a page names, for whoever it is mailed to: of a local model the folder's name alone."""
    said: dict[str, object | None] = {
        "collection": config.collection,
        "embedding": _model(config.embedder_name),
        "reranker": _model(config.reranker_name) or "none",
        "instruction": config.instruction,
        "query instruction": config.query_instruction,
        "rerank instruction": config.rerank_instruction,
        "top_k": config.top_k,
        **more,
    }
    return {name: value for name, value in said.items() if value is not None}


def _model(name: str | None) -> str | None:
    path = Path(name or "").expanduser()
    return path.name if path.is_absolute() or path.is_dir() else name
