"""BEIR folders: corpus.jsonl, queries.jsonl, qrels/test.tsv."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.jsonl import read_lines


@dataclass(frozen=True)
class BeirData:
    """A BEIR folder, read. `qrels` holds only judged questions that are in queries.jsonl."""

    corpus: Path
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read_beir(folder: Path) -> BeirData:
    """Questions and judgements of a BEIR folder.

    Raises:
        ConfigError: a file is missing or not in the layout.
    """
    corpus, queries, qrels = folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / "test.tsv"
    for path in (corpus, queries, qrels):
        if not path.is_file():
            raise ConfigError(f"{str(folder)!r} is not a BEIR folder: {path.relative_to(folder)} is missing")
    texts = {str(row["_id"]): str(row["text"]) for row in read_lines(queries)}
    judged: dict[str, dict[str, int]] = {}
    with qrels.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines, delimiter="\t"), 1):
            if number == 1 and row[-1:] == ["score"]:
                continue
            try:
                question, document, grade = row[0], row[-2], int(row[-1])
            except (IndexError, ValueError):
                raise ConfigError(f"{qrels}:{number}: not `query-id, corpus-id, score` separated by tabs") from None
            judged.setdefault(question, {})[document] = grade
    both = {question: grades for question, grades in judged.items() if question in texts}
    if not both:
        raise ConfigError(f"no question of {queries} is judged in {qrels}")
    return BeirData(corpus, {question: texts[question] for question in both}, both)


def collection_name(folder: Path) -> str:
    """The collection an evaluation uses unless it is told another.

    >>> collection_name(Path("data/cranfield"))
    'beir_cranfield'
    """
    return "beir_" + re.sub(r"\W", "_", folder.resolve().name, flags=re.ASCII)[:200]
