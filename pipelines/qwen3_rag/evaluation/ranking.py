"""Rankings of a collection's questions, measured by ir-measures, and kept, so that an interrupted run can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from llama_index.core.schema import NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.beir import BeirData
from qwen3_rag.evaluation.jsonl import read_lines
from qwen3_rag.query.stages import Found

Run = dict[str, dict[str, float]]
"""Question id to document id to score."""


def rank_all(
    data: BeirData,
    retrieve: Callable[[str], Found],
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
            found = retrieve(text)
            reranking = None if found.kept is None else by_document(found.kept)
            ranked = {"id": question, "dense": by_document(found.candidates), "reranked": reranking}
        if on_question:
            on_question(question, ranked)
        dense[question] = ranked["dense"]
        if ranked["reranked"] is not None:
            reranked[question] = ranked["reranked"]
    return dense, reranked or None


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
    rows = list(read_lines(path, partial=True))
    if rows and rows[0].get("settings") != dict(settings):
        raise ConfigError(f"{str(path)!r} was made with {rows[0].get('settings')}, not {dict(settings)}; name another")
    return {row["id"]: row for row in rows[1:]}
