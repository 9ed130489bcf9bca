"""What an ingest says: while it runs, and when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class IngestReport:
    """What an ingest did. `updated`: passages among `kept` whose metadata changed; `skipped`: (source, reason)."""

    documents: int = 0
    unchanged: int = 0
    written: int = 0
    kept: int = 0
    updated: int = 0
    deleted: int = 0
    pruned: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every source could be read."""
        return not self.skipped


@dataclass(frozen=True)
class Progress:
    """Where an ingest stands. `total_bytes` is the size of all files."""

    done_bytes: int
    total_bytes: int
    passages: int
    source: str


OnProgress = Callable[[Progress], None]
