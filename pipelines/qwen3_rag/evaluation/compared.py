"""Both stages' runs with their values, what the last stage is compared with, and each question's two lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.labels import Labels, Qrels
from qwen3_rag.evaluation.metrics import METRICS, Run, Values, by_question, order, rounded
from qwen3_rag.evaluation.ranking import SHOWN, Ranked, runs_of
from qwen3_rag.evaluation.trec import trec_id


@dataclass(frozen=True)
class Compared:
    """Values are by stage, `dense` and perhaps `reranked`. `base`: None where there is nothing to compare with."""

    ranked: Sequence[Ranked]
    labels: Labels
    runs: dict[str, Run]
    values: dict[str, Values]
    base: tuple[Run, Values] | None

    @property
    def last(self) -> str:
        """The last stage."""
        return list(self.runs)[-1]

    def rows(self) -> list[dict[str, Any]]:
        """A row a question, in the labels' order: nDCG@10 of the last stage, its gain over the base, and the first
        passages of both lists. Without a base `gain` is None and `before` empty."""
        name, run = METRICS[0], self.runs[self.last]
        reached = self.values[self.last][name]
        gains = None if self.base is None else reached - self.base[1][name]
        return [
            {
                "id": one.id,
                "question": self.labels.queries[one.id],
                "value": rounded(reached[place]),
                "gain": None if gains is None else rounded(gains[place]),
                "before": [] if self.base is None else _top(self.labels, one, self.base[0].get(one.id, {})),
                "after": _top(self.labels, one, run[one.id]),
            }
            for place, one in enumerate(self.ranked)
        ]


def compared(
    ranked: Sequence[Ranked], labels: Labels, against: Run | None = None, metrics: Sequence[str] = METRICS
) -> Compared:
    """The last stage beside `against`, a run from a file; without one, beside the first stage, where there are two."""
    labels = labels.only(one.id for one in ranked)
    dense, reranked = runs_of(ranked)
    runs = {"dense": dense} | ({"reranked": reranked} if reranked else {})
    values = {stage: by_question(labels.qrels, run, metrics) for stage, run in runs.items()}
    base = (dense, values["dense"]) if reranked else None
    if against is not None:
        base = _named_as_here(ranked, labels.qrels, against, metrics)
    return Compared(ranked, labels, runs, values, base)


def _named_as_here(ranked: Sequence[Ranked], qrels: Qrels, against: Run, metrics: Sequence[str]) -> tuple[Run, Values]:
    """A run from a file, by the names of these questions and documents, and measured; files write names without
    spaces."""
    if not {trec_id(question) for question in qrels} & set(against):
        asked, other = trec_id(next(iter(qrels))), next(iter(against))
        raise ConfigError(f"--against has none of the questions (here {asked!r}, there {other!r}); give a run of these")
    run: Run = {}
    for one in ranked:
        if (scores := against.get(trec_id(one.id))) is not None:
            names = {trec_id(name): name for name in (*one.dense, *qrels[one.id])}
            run[one.id] = {names.get(name, name): score for name, score in scores.items()}
    return run, by_question(qrels, run, metrics)


def _top(labels: Labels, ranked: Ranked, scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """The first passages of a list, and the first relevant one where it stands further down."""
    grades = labels.qrels[ranked.id]
    listed = [(place, name, grades.get(name, 0)) for place, name in enumerate(order(scores), 1)]
    relevant = next((one for one in listed[SHOWN:] if one[2] > 0), None)
    shown = listed[:SHOWN]
    if relevant and not any(grade > 0 for _, _, grade in shown):
        shown.append(relevant)
    return [
        {"rank": place, "document": name, "relevant": grade > 0, "text": ranked.passages.get(name)}
        for place, name, grade in shown
    ]
