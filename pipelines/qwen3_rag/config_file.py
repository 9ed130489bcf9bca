"""The TOML file: where it is looked for, and what one that nobody named may set.

`./qwen3_rag.toml` of a cloned repository is found without being asked for. It may choose models, sizes and files below
the current folder; it may not send questions, passages or keys anywhere, nor read or write outside the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

from qwen3_rag.errors import ConfigError

CONFIG_VARIABLE = "QWEN3_RAG_CONFIG"

explicit_toml: ContextVar[Path | None] = ContextVar("qwen3_rag_toml", default=None)
"""The file given with `--config`."""

_ADDRESS = re.compile(r"://|^\s*(https?|tcp|unix):", re.IGNORECASE)


@dataclass(frozen=True)
class Option:
    """What a setting is beside its type, default and description.

    Args:
        metavar: stands for the value in `--help`.
        group: the commands that take it as an option ("all", "servers": every one); None: a setting without an option.
        unset: shown as the default where that is None.
        trusted: only the environment, an argument or a file that the user named may set it.
        text: a sentence, which may hold addresses and slashes.
    """

    metavar: str = ""
    group: Literal["all", "servers", "stages", "ingest", "llm", "service"] | None = None
    unset: str = ""
    trusted: bool = False
    text: bool = False


def option_of(field: FieldInfo) -> Option:
    """The `Option` in a field's annotation."""
    return next((one for one in field.metadata if isinstance(one, Option)), Option())


def is_secret(field: FieldInfo) -> bool:
    """Whether a field's value must never be shown."""
    return field.annotation in (SecretStr, SecretStr | None)


def find_toml() -> Path | None:
    """The configuration file in use, or None. One that is named must exist."""
    named = explicit_toml.get() or os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"configuration file {str(path)!r} does not exist; create it or drop --config")
        return path
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return next((p for p in (_here(), home / "qwen3-rag" / "config.toml") if p.is_file()), None)


class TomlFile(TomlConfigSettingsSource):
    """The settings of a file, checked when it is one that nobody named."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        super().__init__(settings_cls, path)
        if path == _here() and not (explicit_toml.get() or os.environ.get(CONFIG_VARIABLE)):
            _check_unnamed(path, self.toml_data, settings_cls.model_fields)


def _here() -> Path:
    return Path("qwen3_rag.toml")


def _check_unnamed(path: Path, values: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> None:
    for name, value in values.items():
        field = fields.get(name.lower())
        reason = field and _needs_trust(field, value)
        if reason:
            raise ConfigError(
                f"./{path} sets {name}, {reason}: a file that is only found here may not. If you trust it, name it: "
                f"--config {path}, or {CONFIG_VARIABLE}={path}"
            )


def _needs_trust(field: FieldInfo, value: Any) -> str | None:
    """Why only a named file may say this; None when any file may."""
    option = option_of(field)
    if is_secret(field):
        return "a secret"
    if option.trusted:
        return "which decides where data goes or comes from"
    if option.text or not isinstance(value, str):
        return None
    if _ADDRESS.search(value):
        return "an address"
    absolute = PurePosixPath(value).is_absolute() or PureWindowsPath(value).drive or value.startswith(("~", "\\"))
    return "an absolute path" if absolute else None
