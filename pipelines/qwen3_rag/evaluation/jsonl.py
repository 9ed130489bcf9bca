"""Files that are read line by line: of JSON objects, or of text that a user wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qwen3_rag.errors import ConfigError


def read_lines(path: Path, partial: bool = False) -> Iterator[dict[str, Any]]:
    """The lines of a JSONL file. With `partial`, a broken last line (a killed run's) ends it."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except ValueError:
                if partial:
                    return
                raise ConfigError(f"{path}:{number}: not a line of JSON") from None


def read_objects(path: Path, unusable: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file with their places; lines that are none are added to `unusable`."""
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        if not raw.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(raw.decode("utf-8-sig"))
        except ValueError as error:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not a line of JSON"
            unusable.append(f"{place}: {reason}")
            continue
        if isinstance(row, dict):
            yield place, row
        else:
            unusable.append(f"{place}: not an object")


def text_lines(path: Path, option: str) -> list[str]:
    """The lines of a text file that was named with `option`.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{option} {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None
