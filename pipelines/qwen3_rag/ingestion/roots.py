"""What files are called in a collection: by their root's name, wherever the root lies and wherever one stands.

A root is an ingested folder, or the folder of an ingested file. Its name is the folder's own, or the one given with
`--name`. What lies below a known root belongs to it; a root below another, made before it or by a name of its own,
keeps its files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qwen3_rag.errors import ConfigError
from qwen3_rag.store.catalog import Catalog, Root


@dataclass(frozen=True)
class Names:
    """The names of files by the roots that they belong to: the innermost one counts."""

    roots: tuple[Root, ...]

    def root(self, path: str | Path) -> Root:
        """The root of a file or folder that lies below one of them."""
        place = absolute(path)
        return max((root for root in self.roots if root.holds(place)), key=lambda root: len(root.path))

    def source(self, path: str | Path) -> str:
        return self.root(path).source(absolute(path))


def names_of(paths: Sequence[str | Path], catalog: Catalog, name: str | None = None) -> Names:
    """The roots of what is about to be ingested, recorded where they are new.

    Args:
        name: the root's name, at its word: a root of that name that lies elsewhere has moved here.

    Raises:
        ConfigError: another folder goes by a root's name, and `name` does not say that it is meant.
    """
    if name is not None and len({_folder(path) for path in paths}) > 1:
        raise ConfigError(f"--name {name} names one folder, and {len(paths)} paths are given; ingest them one by one")
    roots = {root.path: root for root in (_root_of(path, catalog, name) for path in paths)}
    nested = catalog.roots([path for root in roots.values() for path in root.nested])
    return Names(tuple({**nested, **roots}.values()))


def corpus_root(place: str, name: str, known: Catalog) -> Root:
    """The root of a corpus that is no local folder, by its address and its name, recorded where it is new.

    Raises:
        ConfigError: another folder or corpus goes by the name.
    """
    root, other = Root(place, _checked_name(name)), known.root_named(name)
    if other is not None and other.path != place:
        raise ConfigError(
            f"the collection has documents {name!r} already, from {other.path}; give {place} a name of its own with "
            "--name NAME"
        )
    if other is None:
        known.put_root(root)
    return root


def absolute(path: str | Path) -> str:
    """Absolute, but with its links: a linked folder keeps the name that it is seen by."""
    return os.path.abspath(os.path.expanduser(path))


def _folder(path: str | Path) -> str:
    place = absolute(path)
    return place if os.path.isdir(place) else os.path.dirname(place)


def _root_of(path: str | Path, known: Catalog, name: str | None) -> Root:
    folder = _folder(path)
    above = [folder, *map(str, Path(folder).parents)]
    found = known.roots(above)
    nearest = next((found[one] for one in above if one in found), None)
    if nearest is not None and name in (None, nearest.name):
        return nearest
    return _new_root(folder, known, name)


def _new_root(folder: str, known: Catalog, name: str | None) -> Root:
    chosen = _checked_name(name) if name is not None else os.path.basename(folder) or "root"
    other = known.root_named(chosen)
    if other is not None and other.path != folder and name is None:
        raise ConfigError(
            f"the collection has a folder {chosen!r} already, from {other.path}, and {folder} is another; give this "
            f"one a name of its own with --name NAME, or say --name {chosen} if the folder has moved"
        )
    roots = known.all_roots()
    root = Root(folder, chosen)
    root = replace(root, nested=tuple(sorted(one.path for one in roots if one != other and root.holds(one.path))))
    if other is not None and other.path != folder:
        # Before the root is recorded here: a run that is killed finds it at its old place, and does this again.
        known.move(other.path, folder)
    known.put_root(root, replaced=other)
    for outer in roots:
        if outer.path != folder and outer.holds(folder) and folder not in outer.nested:
            known.put_root(replace(outer, nested=(*outer.nested, folder)))
    return root


def _checked_name(name: str) -> str:
    """Raise ConfigError for what cannot begin the name of a document."""
    if not name.strip("/ ") or name != name.strip("/ ") or "\n" in name or ".." in name.split("/"):
        raise ConfigError(f"--name {name!r} must be a name such as docs or project/docs, without / at its ends")
    return name


def old_names(path: str | Path) -> list[str]:
    """What version 0.1 may have called a file: relative to the folder it was started in, or absolute. What it would
    call it here comes first.

    >>> old_names("/me/docs/faq.md")[2:]
    ['me/docs/faq.md', 'docs/faq.md', 'faq.md']
    """
    place = absolute(path)
    parts = Path(place).parts
    return [place, Path(os.path.relpath(place)).as_posix(), *("/".join(parts[i:]) for i in range(1, len(parts)))]
