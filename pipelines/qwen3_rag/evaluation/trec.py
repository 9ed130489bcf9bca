"""TREC run files: `question Q0 document rank score tag`, what every evaluation tool reads and writes."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.jsonl import text_lines
from qwen3_rag.evaluation.metrics import Run, order

TAG = "qwen3-rag"


def trec_id(name: str) -> str:
    """A name as it stands in a run file, whose columns are divided by spaces.

    >>> trec_id("docs/my file.md#Two words")
    'docs/my%20file.md#Two%20words'
    """
    return re.sub(r"\s", lambda space: "".join(f"%{byte:02X}" for byte in space[0].encode()), name)


def write_run(path: Path, run: Run) -> None:
    """Scores are written so that they are read again to the last bit. The file is whole or not there."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as lines:
            for question, scores in run.items():
                for place, document in enumerate(order(scores), 1):
                    score = float(scores[document])
                    lines.write(f"{trec_id(question)} Q0 {trec_id(document)} {place} {score!r} {TAG}\n")
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(f"--save {str(path)!r}: {error.strerror or error}") from None


def read_run(path: Path) -> Run:
    """A run by the names in the file. Documents are ordered by their score; ranks do not count, as in TREC's tools.

    Raises:
        ConfigError: no such file, or a line is not of a run.
    """
    run: Run = {}
    for number, line in enumerate(text_lines(path, "--against"), 1):
        if not line.strip():
            continue
        fields = line.split()
        score = _number(fields[4]) if len(fields) == 6 else None
        if score is None:
            raise ConfigError(f"{path}:{number}: not a line of a TREC run, `question Q0 document rank score tag`")
        found = run.setdefault(fields[0], {})
        if fields[2] in found:
            raise ConfigError(f"{path}:{number}: document {fields[2]!r} a second time for question {fields[0]!r}")
        found[fields[2]] = score
    if not run:
        raise ConfigError(f"--against {str(path)!r} is empty; name a run that --save or another tool wrote")
    return run


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
