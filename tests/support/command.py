"""The command line in this process, which has imported what a process of its own needs seconds for."""

from __future__ import annotations

import contextlib
from pathlib import Path

from qwen3_rag.cli.program import app
from typer.testing import CliRunner, Result


def command(folder: Path, *arguments: str, **environment: str) -> Result:
    """`qwen3-rag` with these arguments, run in a folder."""
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, list(arguments), env=environment)


def ingested(folder: Path, *arguments: str, **environment: str) -> None:
    """An ingest that gives its database free in the end, for other processes."""
    done = command(folder, "ingest", "--quiet", *arguments, **environment)
    assert done.exit_code == 0, done.stderr
