"""BEIR folders as they are found: corpus.jsonl, queries.jsonl, qrels/test.tsv. What cannot be used is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llama_index.core.schema import NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.jsonl import read_objects
from qwen3_rag.evaluation.labels import Labels, Qrels

_HEADER = {"score", "rel", "relevance"}


@dataclass(frozen=True)
class BeirData(Labels):
    """A BEIR folder, read: the judged questions that have a text. Questions without a judgement are not asked."""

    corpus: Path = Path()

    def document(self, question: str, hit: NodeWithScore) -> str:
        """The BEIR id of a passage."""
        return str(hit.node.metadata.get("beir_id", hit.node.ref_doc_id))


def read_beir(folder: Path) -> BeirData:
    """Questions and judgements of a BEIR folder.

    Raises:
        ConfigError: a file is missing, or no question has both a text and a judgement.
    """
    corpus, queries, qrels = folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / "test.tsv"
    for path in (corpus, queries, qrels):
        if not path.is_file():
            raise ConfigError(f"{str(folder)!r} is not a BEIR folder: {path.relative_to(folder)} is missing")
    unusable: list[str] = []
    texts = dict(_questions(queries, unusable))
    without_text = len(unusable)
    judged = _judgements(qrels, unusable)
    complete = len(unusable) == without_text
    both = {question: grades for question, grades in judged.items() if question in texts}
    missing = [question for question in judged if question not in texts]
    if missing:
        complete = complete and not without_text  # a queries.jsonl that asks only some of them is whole
        names = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        unusable.append(f"{qrels}: {len(missing)} judged questions have no text in {queries.name}: {names}")
    if not both:
        first = f"; {unusable[0]}" if unusable else ""
        raise ConfigError(f"no question of {queries} is judged in {qrels}{first}")
    return BeirData({question: texts[question] for question in both}, both, unusable, complete, corpus)


def collection_name(folder: Path) -> str:
    """The collection an evaluation uses unless it is told another.

    >>> collection_name(Path("data/cranfield"))
    'beir_cranfield'
    """
    return "beir_" + re.sub(r"\W", "_", folder.resolve().name, flags=re.ASCII)[:200]


def _questions(path: Path, unusable: list[str]) -> Iterator[tuple[str, str]]:
    for place, row in read_objects(path, unusable):
        name, text = row.get("_id"), row.get("text")
        if not isinstance(name, str | int) or isinstance(name, bool) or str(name) == "":
            unusable.append(f"{place}: no question: it has no _id")
        elif not isinstance(text, str) or not text.strip():
            unusable.append(f"{place}: question {name} has no text")
        else:
            yield str(name), text


def _judgements(path: Path, unusable: list[str]) -> Qrels:
    """`query-id, corpus-id, score` by tabs, or TREC's four columns; a header is passed over."""
    judged: Qrels = {}
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        if not raw.strip():
            continue
        try:
            fields = [one.strip() for one in raw.decode("utf-8-sig").split("\t")]
        except UnicodeDecodeError:
            unusable.append(f"{path}:{number}: not UTF-8")
            continue
        if number == 1 and fields[-1].lower() in _HEADER:
            continue
        grade = _grade(fields[-1])
        if grade is None or len(fields) not in (3, 4) or not fields[0] or not fields[-2]:
            unusable.append(f"{path}:{number}: not `query-id, corpus-id, score` separated by tabs: {raw[:60]!r}")
            continue
        judged.setdefault(fields[0], {})[fields[-2]] = grade
    return judged


def _grade(text: str) -> int | None:
    """A whole number, also where it is written as 1.0: measures of relevance are made for grades."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None
