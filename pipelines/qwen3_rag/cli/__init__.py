"""The console script `qwen3-rag`."""

from qwen3_rag.cli.program import app, main

__all__ = ["app", "main"]
