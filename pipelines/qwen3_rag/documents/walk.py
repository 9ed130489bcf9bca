"""Which files to read: a walk that is streamed, sorted, and survives symlink loops and unreadable folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qwen3_rag.documents.formats import format_of
from qwen3_rag.documents.selection import Ignored, Selection, ignored_above
from qwen3_rag.documents.sources import Name, Skip, SourceFile, Tally, shown_name, source_name
from qwen3_rag.errors import ConfigError

_Key = tuple[int, int]
"""Device and inode: one folder, by whatever path."""


def check_paths(paths: Sequence[str | Path]) -> None:
    """Raise ConfigError for a path that is not there, before anything is written."""
    if not paths:
        raise ConfigError("no paths given; name files or folders to ingest")
    for path in paths:
        if not os.path.lexists(os.path.expanduser(path)):
            raise ConfigError(f"{shown_name(str(path))!r} does not exist; check the path")


def find_files(
    paths: Sequence[str | Path],
    skip: Skip,
    *,
    name: Name = source_name,
    follow_links: bool = False,
    selection: Selection | None = None,
    tally: Tally | None = None,
) -> Iterator[SourceFile]:
    """The files of `paths` in a fixed order, each folder once. Hidden files and folders inside a folder are left out,
    and so are Milvus Lite databases.

    Below a folder only formats that are known are taken, and what the selection takes; a file named by itself is taken
    with any suffix, as plain text when it is unknown, and whatever `.gitignore` says. A link below a folder that leads
    out of it is skipped unless `follow_links`: whoever wrote the folder would choose what of this machine is read.
    Links in `paths` themselves are the caller's own.
    """
    done: set[_Key] = set()
    selection, tally = selection or Selection(), tally or Tally()
    for given in paths:
        path = Path(os.path.expanduser(given))
        if _has_bad_name(path, name, skip):
            continue
        if path.is_dir():
            if is_database(path.name):
                skip(name(path), "a Milvus Lite database, not documents")
                continue
            top = os.path.abspath(path)
            walk = _Walk(None if follow_links else path.resolve(), top, done, name, skip, selection, tally)
            yield from walk.files(path, (), ignored_above(top) if selection.gitignore else Ignored())
        elif not selection.takes(path.name):
            tally.left_out += 1
        elif found := _file(path, format_of(path) or "text", name, skip):
            yield found


@dataclass(frozen=True)
class _Walk:
    """One of the given folders: `top` as an absolute path; `root` is where it really is, or None to follow links
    anywhere."""

    root: Path | None
    top: str
    done: set[_Key]
    name: Name
    skip: Skip
    selection: Selection
    tally: Tally

    def files(self, folder: Path, above: tuple[_Key, ...], ignored: Ignored) -> Iterator[SourceFile]:
        """The files below `folder`; `above` are the folders on the way to it, `ignored` what their rules leave out."""
        try:
            info = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.skip(self.name(folder), _reason(error))
            return
        key = (info.st_dev, info.st_ino)
        if key in above:
            self.skip(self.name(folder), "symlink loop: leads back to a folder above it")
            return
        if key in self.done:
            return
        self.done.add(key)
        if self.selection.gitignore:
            ignored = ignored.within(os.path.abspath(folder))
        for entry in entries:
            if not entry.name.startswith("."):
                yield from self._entry(entry, folder / entry.name, (*above, key), ignored)

    def _entry(
        self, entry: os.DirEntry[str], path: Path, above: tuple[_Key, ...], ignored: Ignored
    ) -> Iterator[SourceFile]:
        try:
            is_folder = entry.is_dir()
            if not self._takes(path, is_folder, ignored):
                self.tally.left_out += 1
                return
            if _has_bad_name(path, self.name, self.skip) or (is_folder and is_database(entry.name)):
                return
            kind = None if is_folder else format_of(path, in_folder=True)
            if (is_folder or kind) and entry.is_symlink() and not self._within(path):
                self.skip(self.name(path), "a link that leads out of its folder; --follow-links follows it")
                return
        except OSError as error:
            self.skip(self.name(path), _reason(error))
            return
        if is_folder:
            yield from self.files(path, above, ignored)
        elif not kind:
            self.tally.passed_over[path.suffix.lower()] += 1
        elif found := _file(path, kind, self.name, self.skip):
            yield found

    def _takes(self, path: Path, is_folder: bool, ignored: Ignored) -> bool:
        place = os.path.abspath(path)
        below = os.path.relpath(place, self.top)
        chosen = self.selection.enters(f"{below}/") if is_folder else self.selection.takes(below)
        return chosen and not ignored.holds(place, is_folder)

    def _within(self, link: Path) -> bool:
        """Whether a link ends inside the root. One that ends nowhere is left to be reported as what it is."""
        if self.root is None:
            return True
        try:
            return link.resolve(strict=True).is_relative_to(self.root)
        except (FileNotFoundError, RuntimeError):
            return True


def _has_bad_name(path: Path, name: Name, skip: Skip) -> bool:
    """Whether the path's name is not UTF-8, and so cannot be the name of a source; told to `skip` then."""
    source = name(path)
    bad = shown_name(source) != source
    if bad:
        skip(shown_name(source), "its name is not UTF-8; rename it")
    return bad


def is_database(name: str) -> bool:
    """Whether a folder's name is that of a Milvus Lite database: `--uri` takes no others."""
    return name.endswith(".db")


def _file(path: Path, kind: str, name: Name, skip: Skip) -> SourceFile | None:
    source = name(path)
    try:
        state = path.stat()
    except OSError as error:
        skip(source, _reason(error))
        return None
    if not path.is_file():
        skip(source, "not a regular file")
        return None
    return SourceFile(path, source, kind, state)


def _reason(error: OSError) -> str:
    if error.errno == 40 or "symbolic links" in str(error):
        return "symlink loop"
    if isinstance(error, FileNotFoundError):
        return "broken link or vanished file"
    return (error.strerror or str(error)).lower()
