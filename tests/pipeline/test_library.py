"""The library's front door."""

from __future__ import annotations

import subprocess
import sys

import qwen3_rag


def test_every_export_is_there_whatever_was_imported_before() -> None:
    names = ", ".join(qwen3_rag.__all__)
    code = f"""
import importlib, pkgutil, qwen3_rag
for module in pkgutil.iter_modules(qwen3_rag.__path__):
    if module.name != "mcp_server":
        importlib.import_module(f"qwen3_rag.{{module.name}}")
from qwen3_rag import {names}
import types
assert not [n for n in qwen3_rag.__all__ if isinstance(getattr(qwen3_rag, n), types.ModuleType)]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(qwen3_rag, "nonsense")
