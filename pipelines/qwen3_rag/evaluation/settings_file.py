"""Writing one setting into the TOML file, everything else in it as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from qwen3_rag.config_file import find_toml
from qwen3_rag.errors import ConfigError


def write_setting(name: str, value: str, evidence: str) -> Path:
    """Set `name` in the file in use, else in a new ./qwen3_rag.toml, with `evidence` as its comment; the file's path.

    Raises:
        ConfigError: the file cannot be written, or is no TOML.
    """
    path = (find_toml() or Path("qwen3_rag.toml")).resolve()  # a link stays one
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
        document[name] = value
        document[name].comment(evidence)
        part = path.with_name(path.name + ".part")
        part.write_text(tomlkit.dumps(document), encoding="utf-8")
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    except (OSError, TOMLKitError) as error:
        raise ConfigError(f"{name} could not be written into {str(path)!r}: {error}") from None
    return path
