"""What the second stage did with each passage of the first."""

from __future__ import annotations

from typing import Literal

from qwen3_rag.query.phrasing import move
from qwen3_rag.query.rows import SearchResult

Kind = Literal["gain", "loss", "same", "gone", "new"]
"""`gone`: the second stage did not keep it; `new`: the first one did not have it."""


class Moves:
    """Places of passages, by node id, in both lists of a result."""

    def __init__(self, result: SearchResult) -> None:
        self._before = {row.node_id: row.rank for row in result.dense}
        self._after = None if result.reranked is None else {row.node_id: row.rank for row in result.reranked}

    def kind(self, one: str) -> Kind:
        before = self._before.get(one)
        if self._after is None:
            return "same"
        if one not in self._after:
            return "gone"
        if before is None:
            return "new"
        return "same" if before == self._after[one] else "gain" if self._after[one] < before else "loss"

    def said(self, one: str) -> str:
        """`↑3`, `↓1`, `=`, `new`, `–`; "" without a second stage."""
        if self._after is None:
            return ""
        return move(self._before.get(one), self._after[one]) if one in self._after else "–"

    def ranks(self, one: str) -> str:
        """Both places, such as `5 → 1`."""
        places = [str(self._before[one])] if one in self._before else []
        if self._after is not None:
            places.append(str(self._after.get(one, "not kept")))
        return " → ".join(places)

    def summary(self) -> str:
        """The whole in two sentences."""
        if self._after is None:
            return f"{len(self._before)} passages of the first stage; there was no second one."
        kinds = [self.kind(one) for one in self._before]
        names = {"gain": "up", "loss": "down", "same": "stayed", "gone": "not kept"}
        counts = [f"{kinds.count(kind)} {name}" for kind, name in names.items() if kind in kinds]
        best = next((one for one, rank in self._after.items() if rank == 1), None)
        if best is None:
            return "The second stage kept nothing."
        was = self._before.get(best)
        first = "The best passage was first already" if was == 1 else f"The best passage was number {was} before"
        return f"{first}. {', '.join(counts)}."
