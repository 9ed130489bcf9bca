"""One setting at several values on the same questions: vector size, and the number of candidates.

Each pair of question and passage is scored once for all values (see `ScoredPairs`), so a sweep costs hardly more than
its largest value.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_index.core.schema import NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.labels import Labels
from qwen3_rag.evaluation.metrics import METRICS, Run, Values, by_question, rounded
from qwen3_rag.evaluation.pairs import ScoredPairs
from qwen3_rag.evaluation.ranking import batches, by_document
from qwen3_rag.evaluation.report import means
from qwen3_rag.evaluation.significance import compare, interval
from qwen3_rag.session import Session
from qwen3_rag.store.paging import read_pages

BYTES = 4
"""Of one number of a stored vector."""
Candidates = dict[str, list[NodeWithScore]]
"""Question id to passages, best first."""
Vectors = npt.NDArray[np.float32]


def sweep_dimensions(session: Session, labels: Labels, pairs: ScoredPairs, sizes: Sequence[int]) -> dict[str, Any]:
    """Vectors cut to each size, with nothing embedded again but the questions; compared with the full size.

    The search is exact, whatever index the collection has. `smallest` is the smallest size that is not significantly
    worse in nDCG@10 of the last stage (p >= 0.05, not corrected: a correction would let smaller sizes pass).

    Raises:
        ConfigError: a size is not below the collection's, or the first stage is not the dense one.
    """
    if session.stages.mode != "dense":
        raise ConfigError("--sweep-dimensions cuts vectors; give it without --mode hybrid")
    full = session.models.identity.dimension
    wrong = [size for size in sizes if not 1 <= size <= full]
    if wrong:
        raise ConfigError(f"--sweep-dimensions: {wrong[0]} must be from 1 to {full}, the size in the collection")
    sizes = sorted({*sizes, full})
    found = _exact_search(session, labels, sizes)
    rows = _table(labels, pairs, found, full)
    worse = {row["value"] for row in rows if row.pop("is_worse")}
    for row in rows:
        del row["candidates"]
        row["dimensions"] = row.pop("value")
        row["bytes"] = row["dimensions"] * BYTES * 1_000_000
    return {"full": full, "smallest": min(size for size in sizes if size not in worse), "rows": rows}


def sweep_top_k(
    session: Session, labels: Labels, pairs: ScoredPairs, depths: Sequence[int], pair_seconds: float
) -> dict[str, Any]:
    """The number of candidates, compared with the largest. `seconds` is what a question costs: its search, and
    `pair_seconds` for each candidate."""
    found: dict[int, Candidates] = {}
    searching: dict[int, float] = {}
    for depth in sorted(set(depths)):
        started = time.perf_counter()
        found[depth] = _search(session, labels, depth)
        searching[depth] = (time.perf_counter() - started) / len(labels.queries)
    rows = _table(labels, pairs, found, max(found))
    for row in rows:
        del row["is_worse"]
        row["top_k"] = row.pop("value")
        row["seconds"] = rounded(searching[row["top_k"]] + row.pop("candidates") * pair_seconds)
    return {"rows": rows}


def _table(labels: Labels, pairs: ScoredPairs, found: Mapping[int, Candidates], base: int) -> list[dict[str, Any]]:
    """A row for each value: means with intervals by stage, and the last stage minus that of the value `base`."""
    ranked = _rerank(labels, pairs, found)
    last = {value: _measured(labels, ranked.get(value, candidates)) for value, candidates in found.items()}
    rows = []
    for value, candidates in found.items():
        stages = {"dense": _measured(labels, candidates)} | ({"reranked": last[value]} if ranked else {})
        difference = {name: compare(last[value][name], last[base][name]) for name in METRICS}
        rows.append(
            {
                "value": value,
                "dense": means(stages["dense"]),
                "reranked": means(last[value]) if ranked else None,
                "intervals": {
                    stage: {name: [rounded(end) for end in interval(values[name])] for name in METRICS}
                    for stage, values in stages.items()
                },
                "difference": {name: one.to_json() for name, one in difference.items()},
                "is_worse": difference[METRICS[0]].is_worse,
                "candidates": sum(map(len, candidates.values())) / len(candidates),
            }
        )
    return rows


def _rerank(labels: Labels, pairs: ScoredPairs, found: Mapping[int, Candidates]) -> dict[int, Candidates]:
    """The second stage at every value, from one pass over all that any value found; empty without a reranker."""
    if not pairs.has_reranker:
        return {}
    ranked: dict[int, Candidates] = {value: {} for value in found}
    for batch in batches(list(labels.queries)):
        every = [_distinct(candidates[one] for candidates in found.values()) for one in batch]
        best = pairs.rerank([(one, labels.queries[one]) for one in batch], every)
        for question, hits in zip(batch, best, strict=True):
            scores = {hit.node_id: hit.score for hit in hits}
            for value, candidates in found.items():
                kept = candidates[question]
                ranked[value][question] = [NodeWithScore(node=hit.node, score=scores[hit.node_id]) for hit in kept]
    return ranked


def _measured(labels: Labels, candidates: Candidates) -> Values:
    run: Run = {question: by_document(labels, question, hits) for question, hits in candidates.items()}
    return by_question(labels.qrels, run)


def _distinct(lists: Any) -> list[NodeWithScore]:
    return list({hit.node_id: hit for hits in lists for hit in hits}.values())


def _search(session: Session, labels: Labels, top_k: int) -> Candidates:
    found: Candidates = {}
    for batch in batches(list(labels.queries)):
        texts = [labels.queries[one] for one in batch]
        found |= zip(batch, session.stages.candidates(texts, top_k=top_k, top_n=1), strict=True)
    return found


def _exact_search(session: Session, labels: Labels, sizes: Sequence[int]) -> dict[int, Candidates]:
    """The best `top_k` at each size, read page by page, so that memory does not grow with the collection."""
    store, top_k = session.store, session.stages.top_k
    texts = list(labels.queries.values())
    queries = np.array(session.stages.vectors(texts), np.float32)
    best: dict[int, list[list[tuple[float, str]]]] = {size: [[] for _ in texts] for size in sizes}
    for page in read_pages(store.client, store.collection_name, ["id", store.embedding_field]):
        names = [str(row["id"]) for row in page]
        vectors = np.array([row[store.embedding_field] for row in page], np.float32)
        for size in sizes:
            scores = _unit(queries[:, :size]) @ _unit(vectors[:, :size]).T
            for held, row in zip(best[size], scores, strict=True):
                first = np.argpartition(-row, min(top_k, len(row)) - 1)[:top_k]
                held += [(float(row[i]), names[i]) for i in first]
                held.sort(key=lambda one: (-one[0], one[1]))
                del held[top_k:]
    nodes = _nodes(session, {name for lists in best.values() for held in lists for _, name in held})
    return {
        size: {
            question: [NodeWithScore(node=nodes[name], score=score) for score, name in held]
            for question, held in zip(labels.queries, lists, strict=True)
        }
        for size, lists in best.items()
    }


def _nodes(session: Session, names: set[str]) -> dict[str, Any]:
    ordered = sorted(names)
    found = [
        node
        for start in range(0, len(ordered), 1_000)
        for node in session.store.get_nodes(ordered[start : start + 1_000])
    ]
    return {node.node_id: node for node in found}


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
