"""Which modules come with which extra. The plain install is the pair of adapters; the pipeline is the extra `rag`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from qwen3_rag.errors import MissingExtraError

EXTRAS: dict[str, tuple[str, ...]] = {
    "rag": (
        "typer",
        "rich",
        "pydantic_settings",
        "pymilvus",
        *(() if sys.platform == "win32" else ("milvus_lite",)),
        "llama_index.vector_stores.milvus",
        "llama_index.llms.openai",
        "openai",
        "markdown_it",
        "ir_measures",
        "scipy",
        "yaml",
        "tomlkit",
        "pathspec",
        "watchfiles",
        "py3langid",
    ),
    "serve": ("mcp", "mcp_types", "starlette", "uvicorn", "prometheus_client"),
    "ray": ("ray", "pyarrow"),
}
"""Extra to the modules that it brings and that this package imports."""


def require(extra: str) -> None:
    """Fail with the extra's name unless all of its modules are installed. Imports none of them.

    Raises:
        MissingExtraError: with the command that installs it.
    """
    missing = [module for module in EXTRAS[extra] if not _installed(module)]
    if missing:
        raise _error(extra, missing[0])


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The failed import of a module that an extra brings as an error that names the extra; None for any other."""
    name = f"{error.name}."
    for extra, modules in EXTRAS.items():
        for module in modules:
            if name.startswith(f"{module}."):
                return _error(extra, module)
    return None


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


def _error(extra: str, module: str) -> MissingExtraError:
    return MissingExtraError(
        f"{module} is not installed; it comes with the extra {extra!r}: pip install 'llama-index-qwen3[{extra}]'"
    )
