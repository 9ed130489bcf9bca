"""Which files to read: a walk that is streamed, sorted, and survives symlink loops and unreadable folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qwen3_rag.errors import ConfigError

MARKDOWN = (".md", ".markdown", ".mdx")
TEXT = (".txt", ".text", ".rst")
BEIR = (".jsonl",)

Skip = Callable[[str, str], None]
"""Called with a source and the reason why it is left out."""


@dataclass(frozen=True)
class SourceFile:
    """One file to read. `source` is its name in the collection, `kind` one of markdown, text, beir."""

    path: Path
    source: str
    kind: str
    size: int


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


def check_paths(paths: Sequence[str | Path]) -> None:
    """Raise ConfigError for a path that is not there, before anything is written."""
    if not paths:
        raise ConfigError("no paths given; name files or folders to ingest")
    for path in paths:
        if not os.path.lexists(path):
            raise ConfigError(f"{str(path)!r} does not exist; check the path")


def find_files(paths: Sequence[str | Path], skip: Skip) -> Iterator[SourceFile]:
    """The files of `paths` in a fixed order, each folder once. Hidden files and folders inside a folder are left out.

    Below a folder only known suffixes are taken (and `corpus.jsonl` of the BEIR layout); a file named by itself is
    taken with any suffix, as plain text when it is unknown.
    """
    done: set[tuple[int, int]] = set()
    for given in paths:
        path = Path(given)
        if path.is_dir():
            yield from _walk(path, (), done, skip)
        elif found := _file(path, _kind(path) or "text", skip):
            yield found


def _walk(
    folder: Path, above: tuple[tuple[int, int], ...], done: set[tuple[int, int]], skip: Skip
) -> Iterator[SourceFile]:
    try:
        info = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skip(source_name(folder), _reason(error))
        return
    key = (info.st_dev, info.st_ino)
    if key in above:
        skip(source_name(folder), "symlink loop: leads back to a folder above it")
        return
    if key in done:
        return
    done.add(key)
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError as error:
            skip(source_name(path), _reason(error))
            continue
        if is_folder:
            yield from _walk(path, (*above, key), done, skip)
        elif (kind := _kind(path, in_folder=True)) and (found := _file(path, kind, skip)):
            yield found


def _kind(path: Path, in_folder: bool = False) -> str | None:
    suffix = path.suffix.lower()
    if suffix in MARKDOWN:
        return "markdown"
    if suffix in TEXT:
        return "text"
    if suffix in BEIR and (not in_folder or path.name == "corpus.jsonl"):
        return "beir"
    return None


def _file(path: Path, kind: str, skip: Skip) -> SourceFile | None:
    source = source_name(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        skip(source, _reason(error))
        return None
    if not path.is_file():
        skip(source, "not a regular file")
        return None
    return SourceFile(path, source, kind, size)


def _reason(error: OSError) -> str:
    if error.errno == 40 or "symbolic links" in str(error):
        return "symlink loop"
    if isinstance(error, FileNotFoundError):
        return "broken link or vanished file"
    return (error.strerror or str(error)).lower()
