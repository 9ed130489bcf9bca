"""Retrieval quality on a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv. Metrics by ir-measures.

The corpus goes into a collection of its own, which stays, so that a second run embeds nothing. With a runs file every
ranked question is kept as well, and an interrupted evaluation goes on where it stopped.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.query.stages import two_stages

Run = dict[str, dict[str, float]]
"""Question id to document id to score."""


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
    texts = {str(row["_id"]): str(row["text"]) for row in _rows(queries)}
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


def rank_all(
    data: BeirData,
    retriever: BaseRetriever,
    rerank: BaseNodePostprocessor | None,
    *,
    done: Mapping[str, Any] | None = None,
    on_question: Callable[[str, dict[str, Any]], None] | None = None,
) -> tuple[Run, Run | None]:
    """Both stages for every judged question, as runs. `done` holds questions ranked before (see `read_runs`)."""
    dense: Run = {}
    reranked: Run = {}
    for question, text in data.queries.items():
        ranked = (done or {}).get(question)
        if ranked is None:
            candidates, kept = two_stages(text, retriever, rerank)
            ranked = {"id": question, "dense": by_document(candidates), "reranked": kept and by_document(kept)}
        if on_question:
            on_question(question, ranked)
        dense[question] = ranked["dense"]
        if ranked["reranked"] is not None:
            reranked[question] = ranked["reranked"]
    return dense, reranked if rerank is not None else None


def by_document(hits: Iterable[NodeWithScore]) -> dict[str, float]:
    """Scores by BEIR id; a document cut into several passages counts with its best one."""
    scores: dict[str, float] = {}
    for hit in hits:
        document = str(hit.node.metadata.get("beir_id", hit.node.ref_doc_id))
        scores[document] = max(hit.score or 0.0, scores.get(document, float("-inf")))
    return scores


def measure(qrels: Mapping[str, Mapping[str, int]], run: Run) -> dict[str, float]:
    """nDCG@10, MRR@10 and recall@50, averaged over the judged questions; an unanswered one counts as 0."""
    import ir_measures
    from ir_measures import RR, R, nDCG

    measures = {"ndcg@10": nDCG @ 10, "mrr@10": RR @ 10, "recall@50": R @ 50}
    found = ir_measures.calc_aggregate(list(measures.values()), dict(qrels), run)
    return {name: round(float(found[one]), 6) for name, one in measures.items()}


def read_runs(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The questions in a runs file. Its first line holds the settings it was made with, which must be the same."""
    if not path.exists():
        return {}
    rows = list(_rows(path, partial=True))
    if rows and rows[0].get("settings") != dict(settings):
        raise ConfigError(f"{str(path)!r} was made with {rows[0].get('settings')}, not {dict(settings)}; name another")
    return {row["id"]: row for row in rows[1:]}


def _rows(path: Path, partial: bool = False) -> Iterator[dict[str, Any]]:
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
