"""The console script `qwen3-rag`."""

from __future__ import annotations

import gc
import sys
import warnings
from typing import Any

from qwen3_rag.errors import MissingExtraError
from qwen3_rag.extras import require


def main() -> None:
    """Entry point. Without the extra `rag` not even the option parser is sure to be there: look at that first."""
    # Imports make a million objects that stay: looking through them every 700 was an eighth of a search's CPU time.
    gc.set_threshold(50_000, 20, 20)
    try:
        require("rag")
    except MissingExtraError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
    from qwen3_rag.cli.program import app

    warnings.showwarning = _show
    app()


def _show(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """A warning is a sentence for the user, without its place in the code."""
    (file or sys.stderr).write(f"warning: {message}\n")
