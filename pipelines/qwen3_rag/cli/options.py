"""Command-line options made from `RagConfig`'s fields, and the decorator that every sub-command is registered with.

A sub-command is a function whose first parameter is the configuration; its own arguments follow as usual in Typer::

    @command(app, "count", settings=("mode",))
    def count(config: RagConfig, as_json: AsJson = False) -> None:
        '''Count passages.'''

The decorator adds the options of every command, and those of the groups or fields named in `settings`; builds the
configuration from flags, environment and file; and turns errors into one message and an exit code.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import SecretStr

from qwen3_rag.config import RagConfig, load_config
from qwen3_rag.config_file import explicit_toml, option_of
from qwen3_rag.errors import RagError

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]
Filter = Annotated[
    list[str],
    typer.Option(
        "--filter", metavar="KEY=VALUE", help="Only passages with this metadata; also != >= <= > <; repeatable."
    ),
]
NoRerank = Annotated[bool, typer.Option("--no-rerank", help="Leave the second stage out.")]
Threshold = Annotated[
    float | None,
    typer.Option("--score-threshold", metavar="P", help="Drop passages that the second stage gives less, from 0 to 1."),
]

_EVERYWHERE = "Options of every command"
_SERVERS = "Models on servers (every command)"
_CONFIG_FILE = typer.Option(
    "--config",
    metavar="FILE",
    help="TOML file with settings. \\[./qwen3_rag.toml, ~/.config/qwen3-rag/config.toml]",
    rich_help_panel=_EVERYWHERE,
    show_default=False,
)


def command(
    app: typer.Typer, name: str, *, settings: Sequence[str] = (), epilog: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a sub-command. `settings` names the groups or fields it takes as options."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        special = fields_of(settings)
        added = [_parameter(one, None) for one in special]
        added += [_parameter(one, _EVERYWHERE) for one in fields_of(("all",)) if one not in special]
        added.append(_keyword("config", Annotated[Path | None, _CONFIG_FILE]))
        added += [_parameter(one, _SERVERS) for one in fields_of(("servers",)) if one not in special]
        names = [parameter.name for parameter in added if parameter.name != "config"]

        def run(**values: Any) -> None:
            file = values.pop("config")
            overrides = {one: value for one in names if (value := values.pop(one)) is not None}

            def action() -> None:
                explicit_toml.set(file)  # in this command's own context: `info` says later which file it was
                function(load_config(overrides), **values)

            with_exit_code(action)

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = _unwrapped(function.__doc__ or "")
        app.command(name, epilog=epilog)(run)
        return function

    return register


def _unwrapped(text: str) -> str:
    """One line a paragraph: the help is wrapped to the terminal, and would keep the source's own line ends."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def fields_of(settings: Sequence[str]) -> list[str]:
    """The fields that are named, or are of a group that is named, in the configuration's order."""
    return [
        name for name, field in RagConfig.model_fields.items() if name in settings or option_of(field).group in settings
    ]


def _parameter(name: str, panel: str | None) -> inspect.Parameter:
    field = RagConfig.model_fields[name]
    shown = option_of(field)
    default = shown.unset or ("" if field.default in (None, False) else str(field.default).removesuffix(".0"))
    option = typer.Option(
        "--" + name.replace("_", "-"),
        metavar=shown.metavar or None,
        help=f"{field.description} \\[{default}]" if default else field.description,  # not markup
        rich_help_panel=panel,
        show_default=False,
    )
    return _keyword(name, Annotated[_value_type(field.annotation) | None, option])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _value_type(annotation: Any) -> Any:
    """The type that Typer reads: without None, and text for a secret."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (one for one in get_args(annotation) if one is not type(None))
    return str if annotation is SecretStr else annotation


def with_exit_code(action: Callable[[], None]) -> None:
    """Run, and explain what a user can act on instead of showing a traceback."""
    from qwen3_rag.cli.console import note, quiet_libraries
    from qwen3_rag.explain import explain

    quiet_libraries()
    try:
        copy_context().run(action)
    except KeyboardInterrupt:
        note("interrupted; the same command again goes on from here")
        raise typer.Exit(130) from None
    except Exception as error:
        known = error if isinstance(error, RagError) else explain(error)
        if known is None:
            raise
        note(f"error: {known}")
        raise typer.Exit(known.exit_code) from None
