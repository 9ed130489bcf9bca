"""Command-line options made from one table, and the `command` decorator that every sub-command is registered with.

A sub-command is a function whose first parameter is the configuration; its own arguments follow as usual in Typer::

    @command(app, "count", settings=("mode",))
    def count(config: RagConfig, as_json: AsJson = False) -> None:
        '''Count passages.'''

The decorator adds the options that are the same everywhere, and those named in `settings`; builds the configuration
from flags, environment and file; and turns errors into one message and an exit code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qwen3_rag.errors import ConfigError, RagError, UnavailableError

if TYPE_CHECKING:
    from qwen3_rag.config import RagConfig

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]
Filter = Annotated[
    list[str], typer.Option("--filter", metavar="KEY=VALUE", help="Only passages with this metadata; repeatable.")
]

_EVERYWHERE = "Options of every command"
_TABLE: dict[str, tuple[Any, str, str]] = {
    "uri": (str, "PATH.db|URL", "Milvus Lite database, or a server's address. [./qwen3_rag.db]"),
    "collection": (str, "NAME", "Collection in it. [docs]"),
    "token": (str, "TOKEN", "Token of a server or of Zilliz Cloud; better given as QWEN3_RAG_TOKEN."),
    "embed_model": (str, "MODEL", "tiny (bundled, offline), 0.6B, 4B, 8B, a folder or a hub name. [0.6B]"),
    "rerank_model": (str, "MODEL", "same (as --embed-model), none, or a model. [same]"),
    "instruction": (str, "TEXT", "The task in one English sentence, for both stages."),
    "query_instruction": (str, "TEXT", "The same for the embedding stage alone."),
    "rerank_instruction": (str, "TEXT", "The same for the reranking stage alone."),
    "dimensions": (int, "N", "Length of the vectors. [the model's own]"),
    "device": (str, "DEVICE", "cpu, cuda, cuda:1, mps. [chosen]"),
    "config": (Path, "FILE", "TOML file with settings. [./qwen3_rag.toml, ~/.config/qwen3-rag/config.toml]"),
    "hybrid": (bool, "", "Add a BM25 field, for --mode hybrid."),
    "chunk_size": (int, "N", "Largest passage, in tokens of about 4 letters. [512]"),
    "batch_size": (int, "N", "Passages embedded and written together. [64]"),
    "mode": (Literal["dense", "hybrid"], "", "First stage: vectors, or vectors and BM25. [dense]"),
    "top_k": (int, "N", "Candidates of the first stage. [10]"),
    "top_n": (int, "N", "Passages kept after reranking. [3]"),
    "llm": (str, "NAME", "Language model. [gpt-4o]"),
    "llm_base_url": (str, "URL", "OpenAI-compatible endpoint. [OpenAI]"),
    "llm_timeout": (float, "SECONDS", "How long to wait for the language model. [60]"),
}
EVERYWHERE = (
    "uri", "collection", "token", "embed_model", "rerank_model", "instruction", "query_instruction",
    "rerank_instruction", "dimensions", "device", "config",
)  # fmt: skip


def _parameter(name: str, panel: str | None) -> inspect.Parameter:
    kind, metavar, text = _TABLE[name]
    flag = "--" + name.replace("_", "-")
    option = typer.Option(flag, metavar=metavar or None, help=text, rich_help_panel=panel, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def command(
    app: typer.Typer, name: str, *, settings: Sequence[str] = (), epilog: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a sub-command. `settings` names the `RagConfig` fields it takes as options."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        # The configuration's type is only imported for type checking; its parameter is not Typer's anyway.
        signature = inspect.signature(function, eval_str=True, locals={"RagConfig": object})
        own = list(signature.parameters.values())[1:]
        added = [_parameter(one, None) for one in settings]
        added += [_parameter(one, _EVERYWHERE) for one in EVERYWHERE if one not in settings]
        names = [parameter.name for parameter in added]

        def run(**values: Any) -> None:
            overrides = {one: values.pop(one) for one in names}
            with_exit_code(lambda: function(_configure(overrides), **values))

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = function.__doc__
        app.command(name, epilog=epilog)(run)
        return function

    return register


def _configure(overrides: dict[str, Any]) -> RagConfig:
    from qwen3_rag.config import load_config

    file = overrides.pop("config")
    return load_config({name: value for name, value in overrides.items() if value is not None}, file)


def with_exit_code(action: Callable[[], None]) -> None:
    """Run, and explain what a user can act on instead of showing a traceback."""
    from qwen3_rag.cli.console import note, quiet_libraries

    quiet_libraries()
    try:
        copy_context().run(action)
    except RagError as error:
        note(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        note("interrupted; the same command again goes on from here")
        raise typer.Exit(130) from None
    except Exception as error:
        explained = _known(error)
        if explained is None:
            raise
        note(f"error: {explained}")
        raise typer.Exit(explained.exit_code) from None


def _known(error: Exception) -> RagError | None:
    """The errors of the layers below that are not bugs. Only modules that are loaded can have raised."""
    if (models := sys.modules.get("qwen3_inference.errors")) is not None:
        if isinstance(error, models.HubUnavailableError):
            from qwen3_rag.models import hub_advice

            return UnavailableError(hub_advice(error))
        if isinstance(error, models.CheckpointError):
            return ConfigError(str(error))
    milvus = sys.modules.get("pymilvus.exceptions")
    if milvus is not None and isinstance(error, milvus.MilvusException):
        return UnavailableError(f"the database failed: {error.message or error}")
    return None
