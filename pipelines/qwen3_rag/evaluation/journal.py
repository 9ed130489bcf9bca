"""A file of results that grows line by line, so that an interrupted run can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.jsonl import read_lines

_KEY = ("id", "kind", "instruction")


class Journal:
    """Rows by the values of `_KEY`, None where a row has none of that name. Without a path nothing is kept.

    The first line holds the settings that the rows were made with, which must be the same. Each row is in the file when
    `add` returns; a last line that a killed run left broken is dropped.

    Raises:
        ConfigError: the file is of other settings, or cannot be written.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._file: TextIO | None = None
        settings = json.loads(json.dumps(settings))  # as it is read again
        try:
            kept = self._open(path, settings) if path else []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{str(path)!r}: {getattr(error, 'strerror', None) or error}; name another") from None
        for row in kept:
            self._rows[self._key_of(row)] = row

    def get(self, *key: Any) -> dict[str, Any] | None:
        """The row with these values; further ones are None."""
        return self._rows.get((*key, *[None] * (len(_KEY) - len(key))))

    def add(self, row: dict[str, Any]) -> None:
        self._rows[self._key_of(row)] = row
        if self._file:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _open(self, path: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows that are in the file, which is written again without a broken last line."""
        rows = list(read_lines(path, partial=True)) if path.exists() else []
        if rows and rows[0].get("settings") != settings:
            raise ConfigError(f"{str(path)!r} was made with {rows[0].get('settings')}, not {settings}; name another")
        part = path.with_name(path.name + ".part")
        with part.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in [{"settings": settings}, *rows[1:]])
        os.replace(part, path)
        self._file = path.open("a", encoding="utf-8")
        return rows[1:]

    def _key_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in _KEY)
