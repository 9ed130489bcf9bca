"""The second stage with a memory: a question and a passage are scored once for each instruction."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.schema import NodeWithScore

from qwen3_rag.evaluation.journal import Journal
from qwen3_rag.session import Session

KIND = "pairs"


class ScoredPairs:
    """Reranks candidates, and keeps the scores in a journal with the key (id, kind, instruction)."""

    def __init__(self, session: Session, journal: Journal) -> None:
        self._stages, self._journal = session.stages, journal

    @property
    def has_reranker(self) -> bool:
        return self._stages.reranker is not None

    def rerank(
        self,
        questions: Sequence[tuple[str, str]],
        candidates: Sequence[list[NodeWithScore]],
        instruction: str | None = None,
    ) -> list[list[NodeWithScore]]:
        """All candidates of each question (id, text) with the reranker's scores, best first."""
        known = [self._known(name, instruction) for name, _ in questions]
        missing = [
            (place, new)
            for place, (held, nodes) in enumerate(zip(known, candidates, strict=True))
            if (new := [hit for hit in nodes if hit.node_id not in held])
        ]
        if missing:
            texts, nodes = [questions[place][1] for place, _ in missing], [new for _, new in missing]
            scored = self._stages.choices(texts, nodes, top_n=max(map(len, nodes)), rerank_instruction=instruction)
            for (place, _), found in zip(missing, scored, strict=True):
                known[place] |= {hit.node_id: hit.score or 0.0 for hit in found}
                row = {"id": questions[place][0], "kind": KIND, "instruction": instruction, "scores": known[place]}
                self._journal.add(row)
        return [_best_first(nodes, held) for nodes, held in zip(candidates, known, strict=True)]

    def _known(self, question: str, instruction: str | None) -> dict[str, float]:
        row = self._journal.get(question, KIND, instruction)
        return dict(row["scores"]) if row else {}


def _best_first(nodes: Sequence[NodeWithScore], scores: dict[str, float]) -> list[NodeWithScore]:
    """Equal scores keep the order of the first stage."""
    ordered = sorted(nodes, key=lambda hit: -scores[hit.node_id])
    return [NodeWithScore(node=hit.node, score=scores[hit.node_id]) for hit in ordered]
