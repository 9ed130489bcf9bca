"""Files of one JSON object a line."""

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
