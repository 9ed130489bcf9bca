"""Keeping a collection in line with files while they change.

Events only say that something has changed. What it is, a look at all files says (at their names and times, not into
them; see `Seen`), so that editors may save by renaming and deleting, and a lost event does no harm for long.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from watchfiles import watch

from qwen3_rag.documents.selection import IGNORE_FILE
from qwen3_rag.documents.walk import is_database
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.ingestion.roots import absolute

_TICK_MS = 500
"""Time between two looks at whether a path has been replaced, and before what failed is tried again."""


def keep_in_line(
    paths: Sequence[str | Path],
    ingest_once: Callable[[], IngestReport],
    *,
    on_report: Callable[[IngestReport], None],
    on_trouble: Callable[[str], None],
    stop: Event | None = None,
) -> None:
    """Ingest now and after every batch of changes, until `stop` is set or the process is interrupted.

    Args:
        ingest_once: opens the database, ingests `paths` and closes it. Where that is not possible now
            (`UnavailableError`), it is called again until it is.
        on_report: called after each ingest.
        on_trouble: called with the reason why nothing can be done now, once for each.
    """
    stop = stop or Event()
    places = [absolute(path) for path in paths]
    is_due, trouble = True, ""
    try:
        while not stop.is_set():
            try:
                for is_changed in _ticks(places, stop):
                    is_due = is_due or is_changed
                    if is_due:
                        on_report(_ingest(ingest_once, places))
                        is_due, trouble = False, ""
            except UnavailableError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    on_trouble(trouble)
            is_due = True  # nobody has watched since
            stop.wait(_TICK_MS / 1000)
    except KeyboardInterrupt:
        return


def _ingest(ingest_once: Callable[[], IngestReport], places: Sequence[str]) -> IngestReport:
    try:
        return ingest_once()
    except ConfigError:
        _identities(places)  # a path that has gone meanwhile may come back
        raise


def _ticks(places: Sequence[str], stop: Event) -> Iterator[bool]:
    """Whether something has changed, again and again; ends when a folder is replaced by another, which nobody watches.

    Raises:
        UnavailableError: a path is not there.
    """
    before = _identities(places)
    # The folder of a file, as editors put another file in its place.
    watched = {place if os.path.isdir(place) else os.path.dirname(place) for place in places}
    events = watch(
        *sorted(watched),
        watch_filter=lambda _, path: any(_matters(path, place) for place in places),
        stop_event=stop,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        recursive=any(os.path.isdir(place) for place in places),
        ignore_permission_denied=True,
    )
    try:
        for changes in events:
            if _identities(places) != before:
                return
            yield bool(changes)
    except FileNotFoundError:  # gone before it could be watched
        _identities(places)


def _identities(places: Sequence[str]) -> list[tuple[int, int] | None]:
    """Which folders these are; None for files."""
    found: list[tuple[int, int] | None] = []
    for place in places:
        try:
            info = os.stat(place)
        except OSError:
            raise UnavailableError(f"{place!r} is not there; its passages stay, and it is waited for") from None
        found.append((info.st_dev, info.st_ino) if stat.S_ISDIR(info.st_mode) else None)
    return found


def _matters(path: str, place: str) -> bool:
    """Whether an ingest may look at it: not what is hidden, nor databases, the one that is written to among them."""
    if path == place:
        return True
    if not path.startswith(place.rstrip("/") + "/"):
        return False
    *folders, name = os.path.relpath(path, place).split(os.sep)
    hidden = any(one.startswith(".") for one in folders) or (name.startswith(".") and name != IGNORE_FILE)
    return not hidden and not any(is_database(one) for one in (*folders, name))
