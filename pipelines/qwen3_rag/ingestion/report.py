"""What an ingest says: while it runs, and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class IngestReport:
    """What an ingest did. `updated`: passages among `kept` whose metadata changed; `skipped`: (source, reason).

    `cut`: (source, what is missing) of documents that are there, but of which a part is longer than the embedding model
    reads and ends in no vector. It is said again by every ingest that meets such a document.

    `passed_over` counts files that no format reads by suffix; `left_out` the files and folders that `--include`,
    `--exclude` or `.gitignore` leave out (what is in such a folder is not looked at); `cleaned` the documents that held
    invisible letters or bidirectional controls, which are not stored.
    """

    documents: int = 0
    unchanged: int = 0
    written: int = 0
    kept: int = 0
    updated: int = 0
    deleted: int = 0
    pruned: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    cut: list[tuple[str, str]] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    cleaned: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every source could be read, and all text of it ended in a vector."""
        return not (self.skipped or self.cut)

    @property
    def has_changed(self) -> bool:
        """Whether anything was written or deleted."""
        return bool(self.written or self.updated or self.deleted or self.pruned)

    def add(self, other: IngestReport) -> None:
        """Count another ingest in."""
        for name, value in vars(other).items():
            if isinstance(value, dict):
                own = vars(self)[name]
                own.update({key: own.get(key, 0) + count for key, count in value.items()})
            else:
                setattr(self, name, getattr(self, name) + value)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {**vars(self), "skipped": told(self.skipped), "cut": told(self.cut)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> IngestReport:
        """The report that `to_json` told of."""
        pairs = {name: [(one["source"], one["reason"]) for one in found[name]] for name in ("skipped", "cut")}
        return cls(**{**found, **pairs})


def told(reasons: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Sources with their reasons, as all JSON of an ingest has them."""
    return [{"source": source, "reason": reason} for source, reason in reasons]


@dataclass(frozen=True)
class Progress:
    """Where an ingest stands. `total_bytes` is the size of all files."""

    done_bytes: int
    total_bytes: int
    passages: int
    source: str


OnProgress = Callable[[Progress], None]
