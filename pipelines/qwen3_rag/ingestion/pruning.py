"""What an ingest deletes with `prune`, and what a watch need not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qwen3_rag.documents.formats import format_of
from qwen3_rag.documents.selection import Selection
from qwen3_rag.documents.sources import SourceFile
from qwen3_rag.ingestion.roots import Names, absolute
from qwen3_rag.store.catalog import Root

_SETTLED = 2.0
"""Seconds: what was written later may be written again within one tick of the file system's clock."""
State = tuple[int, int, int, int]


@dataclass
class Pruning:
    """Which documents below the given paths are gone, for those that the ingest has not met.

    Only what the ingest speaks of can be gone: not what `--include` and `--exclude` keep out of it (as rsync's
    `--delete` does), what could not be read, or a file of an unknown format that was once named by itself. What
    `.gitignore` leaves out is gone: it is a state of the folder, not of this run.
    """

    names: Names
    selection: Selection
    kept: set[str] = field(default_factory=set)
    """Documents, files and folders that were not read."""

    def scopes(self, paths: Sequence[str | Path]) -> Iterator[tuple[Root, Callable[[str], bool]]]:
        """The roots at, around and below the paths, each with the judgement of its documents' names."""
        for path in paths:
            place = absolute(path)
            around = self.names.root(place)
            yield around, self._is_gone(around, place)
            for root in self.names.roots:
                if root.path.startswith(place.rstrip("/") + "/"):
                    yield root, self._is_gone(root, place)

    def _is_gone(self, root: Root, place: str) -> Callable[[str], bool]:
        def is_gone(document: str) -> bool:
            file = os.path.join(root.path, _file_of(document.removeprefix(root.name).lstrip("/")))
            if not (file == place or file.startswith(place.rstrip("/") + "/")):
                return False
            below = os.path.basename(file) if file == place else os.path.relpath(file, place)
            if not self.selection.takes(below) or any(one in self.kept for one in prefixes(document)):
                return False
            return not (format_of(Path(file), in_folder=True) is None and os.path.isfile(file))

        return is_gone


class Seen:
    """Files as they were when they were last read."""

    def __init__(self) -> None:
        self._collection = ""
        self._states: dict[str, State] = {}
        self._next: dict[str, State] = {}

    def has(self, file: SourceFile) -> bool:
        """Whether a file is as it was. It counts as seen again then."""
        state = _state(file)
        same = self._states.get(file.source) == state
        if same:
            self._next[file.source] = state
        return same

    def put(self, file: SourceFile) -> None:
        """A file was read whole."""
        if file.state.st_mtime < time.time() - _SETTLED:
            self._next[file.source] = _state(file)

    def commit(self) -> None:
        """What was read has been written. Before, a failure would lose it."""
        self._states, self._next = self._next, {}

    def begin(self, collection: str) -> None:
        """Forget an ingest that failed, and everything when the collection is another, by its mark."""
        self._states = self._states if collection == self._collection else {}
        self._collection, self._next = collection, {}


def prefixes(document: str) -> Iterator[str]:
    """A document's name, and those of the folders and of the file of several documents that it lies in.

    >>> list(prefixes("docs/corpus.jsonl#7")), list(prefixes("c#.md"))
    (['docs/corpus.jsonl#7', 'docs', 'docs/corpus.jsonl'], ['c#.md'])
    """
    yield document
    yield from (document[:end] for end, letter in enumerate(document) if letter == "/" or _is_file(document, end))


def _file_of(name: str) -> str:
    """The file that a document's name is of."""
    return next((name[:end] for end in range(len(name)) if _is_file(name, end)), name)


def _is_file(name: str, end: int) -> bool:
    """Whether the name of a file ends at a #, behind which one of its documents is named."""
    return name[end] == "#" and format_of(Path(name[:end]), in_folder=True) is not None


def _state(file: SourceFile) -> State:
    state = file.state
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino
