"""The library's front door."""

from __future__ import annotations

import subprocess
import sys

import pytest
import qwen3_rag

PUBLIC = sorted(
    [
        "AnswerResult",
        "CitedSynthesizer",
        "ConfigError",
        "IngestReport",
        "MissingExtraError",
        "ModelIdentity",
        "Models",
        "NoAnswerError",
        "PassageParser",
        "RagConfig",
        "RagError",
        "RagVectorStore",
        "SearchResult",
        "Session",
        "UnavailableError",
        "ingest",
        "ingest_documents",
        "load_models",
        "make_ask_tool",
        "make_document",
        "make_index",
        "make_llm",
        "make_query_engine",
        "make_retriever",
        "make_search_tool",
        "make_tools",
        "open_store",
        "parse_filters",
        "search",
    ]
)


def test_the_public_names_are_these() -> None:
    assert sorted(qwen3_rag.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(qwen3_rag))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_knows_its_own(name: str) -> None:
    assert getattr(qwen3_rag, name).__name__ == name


def test_importing_the_package_imports_none_of_its_modules() -> None:
    code = "import sys, qwen3_rag; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in loaded if name.startswith("qwen3_rag")}
    assert ours == {"qwen3_rag", "qwen3_rag.errors", "qwen3_rag.extras"}
    assert not {"torch", "transformers", "pydantic", "llama_index", "pymilvus"} & set(loaded)


def test_help_needs_no_model_and_no_database() -> None:
    heavy = ("torch", "transformers", "llama_index", "pymilvus", "openai")
    code = f"import sys, qwen3_rag.cli.program; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
