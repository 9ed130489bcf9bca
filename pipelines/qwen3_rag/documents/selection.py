"""Which files of a folder are meant: `--include`, `--exclude` and `.gitignore`, all in the syntax of the last."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pathspec import GitIgnoreSpec

from qwen3_rag.errors import ConfigError

IGNORE_FILE = ".gitignore"
_STAR = "[^/]*"
"""A star as pathspec writes it."""
_DEEP = 4
"""Times that one rule of a .gitignore may say **: with each more, the time grows by the depth of the folders."""


class Selection:
    """What is taken of a folder. Patterns are relative to it: `*.md` and `drafts/` hold at any depth, `/a` at the top.

    >>> chosen = Selection(include=["*.md"], exclude=["drafts/"])
    >>> chosen.takes("guide/a.md"), chosen.takes("guide/a.txt"), chosen.takes("drafts/a.md")
    (True, False, False)

    Args:
        include: a file has to match one of these; none: every file does.
        exclude: what matches one of these is left out, folders with all that is in them.
        gitignore: `.gitignore` files are obeyed, those in folders below and above (up to the repository's) included.

    Raises:
        ConfigError: a pattern that means nothing.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = (), gitignore: bool = True) -> None:
        self._include = _spec("--include", include) if include else None
        self._exclude = _spec("--exclude", exclude)
        self.gitignore = gitignore

    def takes(self, path: str) -> bool:
        """Whether a file is meant, by its path below the folder."""
        return self.enters(path) and (self._include is None or self._include.match_file(path))

    def enters(self, path: str) -> bool:
        """Whether nothing excludes a file, or a folder, whose path ends with /."""
        return not self._exclude.match_file(path)


@dataclass(frozen=True)
class _Rule:
    """One line of a .gitignore. It speaks of a file or folder itself, not of what is in it, as for git: what an ignored
    folder holds is never looked at."""

    regex: re.Pattern[str]
    ignores: bool

    def matches(self, path: str) -> bool:
        if self.regex.pattern == "(?P<ps_d>/)":  # `*/`: every folder
            return path.endswith("/")
        if "ps_d" in self.regex.pattern:  # pathspec's own name for where a folder may end
            return self.regex.fullmatch(path) is not None
        found = self.regex.match(path)  # `a/**`: all that is in a folder, but not the folder
        return found is not None and (self.regex.pattern == "." or found.end() < len(path))


@dataclass(frozen=True)
class Ignored:
    """The rules of the `.gitignore` files from the outermost folder to the innermost."""

    rules: tuple[tuple[str, tuple[_Rule, ...]], ...] = ()

    def within(self, folder: str) -> Ignored:
        """With the rules that a folder adds. `folder` is an absolute path."""
        rules = tuple(_read(os.path.join(folder, IGNORE_FILE)))
        return replace(self, rules=(*self.rules, (folder, rules))) if rules else self

    def holds(self, path: str, is_folder: bool) -> bool:
        """Whether a file or folder is ignored: the last rule of the innermost file that speaks of it decides."""
        for folder, rules in reversed(self.rules):
            below = os.path.relpath(path, folder) + ("/" if is_folder else "")
            for rule in reversed(rules):
                if rule.matches(below):
                    return rule.ignores
        return False


def ignored_above(folder: str) -> Ignored:
    """The rules that hold in a folder from above it, where it lies in a repository. None do where they ignore the
    folder itself: whoever names it means it."""
    above: list[str] = []
    place = folder
    while not os.path.exists(os.path.join(place, ".git")):
        outer = os.path.dirname(place)
        if outer == place:
            return Ignored()
        above.insert(0, outer)
        place = outer
    rules = Ignored()
    for outer, inner in zip(above, [*above, folder][1:], strict=True):
        rules = rules.within(outer)
        if rules.holds(inner, is_folder=True):
            return Ignored()
    return rules


def _spec(option: str, patterns: Iterable[str]) -> GitIgnoreSpec:
    given = [pattern.removeprefix("./") for pattern in patterns]
    for pattern in given:
        if not pattern.strip() or pattern.startswith("#"):
            raise ConfigError(f"{option} {pattern!r} matches nothing; give a pattern such as '*.md' or 'drafts/'")
    try:
        return GitIgnoreSpec.from_lines(given)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}; give a pattern such as '*.md' or 'drafts/'") from None


def _read(file: str) -> Iterator[_Rule]:
    """A .gitignore's rules. As for git, a link is none, and a line that means nothing has no effect."""
    if os.path.islink(file) or not os.path.isfile(file):
        return
    try:
        with open(file, "rb") as lines:
            given = lines.read().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError:
        return
    for raw in given:
        line = os.fsdecode(raw.rstrip(b"\r"))
        if line.count("**") > _DEEP:
            continue
        line = f"{line}*/" if line.endswith("**/") else line  # folders at any depth, not the one that holds them
        try:
            patterns = GitIgnoreSpec.from_lines([line], backend="simple").patterns
        except ValueError:
            continue
        for one in patterns:
            if one.regex is not None and one.include is not None:
                yield _Rule(re.compile(_linear(one.regex.pattern)), one.include)


def _linear(regex: str) -> str:
    """The same rule, whose time does not explode: whoever wrote the folder wrote it.

    Within one name, what stands between two stars may be taken where it is found first, for good; what follows has the
    more room then.
    """
    first, *rest = regex.split(_STAR)
    if len(rest) < 2:
        return regex
    stars = (f"(?>{_STAR}?{part})" if "(" not in part else f"{_STAR}{part}" for part in rest[:-1])
    return f"{first}{''.join(stars)}{_STAR}{rest[-1]}"
