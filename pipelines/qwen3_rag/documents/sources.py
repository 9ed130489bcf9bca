"""What a file is called in the collection."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Name = Callable[[Path], str]
"""The name of a file or folder in the collection, by its path."""
Skip = Callable[[str, str], None]
"""Called with a source and the reason why it is left out."""


@dataclass(frozen=True)
class SourceFile:
    """One file to read. `source` is its name in the collection, `kind` the name of its format, `state` what `os.stat`
    says of it."""

    path: Path
    source: str
    kind: str
    state: os.stat_result

    @property
    def size(self) -> int:
        return self.state.st_size


@dataclass
class Tally:
    """What a walk does not take and nobody needs to mend: files that no format reads, by suffix, and the files and
    folders that a selection leaves out."""

    passed_over: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


def source_name(path: Path) -> str:
    """The name a file goes by: relative to the current folder where it lies below it, else absolute.

    Relative, so that a project keeps its passages when it is moved; absolute elsewhere, so that two files never share
    a name.
    """
    absolute = Path(os.path.abspath(path))  # not resolve(): a link keeps its own name
    try:
        return absolute.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return absolute.as_posix()


def shown_name(source: str) -> str:
    """The name of a file as it can be printed and sent: bytes that are not UTF-8 as `\\xe9`."""
    return os.fsencode(source).decode("utf-8", "backslashreplace")
