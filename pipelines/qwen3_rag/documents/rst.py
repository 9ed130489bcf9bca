"""reStructuredText as sections of blocks: headings by their adornment, code blocks whole. Nothing is rendered.

docutils would build the whole document, run its directives, and keep no line numbers of what it drops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from qwen3_rag.documents.markdown import MAX_TITLE, Block, Kind, Section

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*\n?")
_CODE = re.compile(
    r"(?:\.\.[ \t]+(?:code-block|code|sourcecode|literalinclude|prompt|console|parsed-literal)::|(?!\.\.[ \t]).*::\s*$)"
)
_TARGET = re.compile(r"\.\. _[^:\n]+:[ \t]*\n?")
"""A place to link to, as `<a id>` is in Markdown: noise."""
_GRID = re.compile(r"[ \t]*\+(?:-+\+)+[ \t]*\n")
_SIMPLE = re.compile(r"[ \t]*=+(?:[ ]+=+)+[ \t]*\n")
_INDENT = re.compile(r"[ \t]*")


def rst_sections(text: str) -> Iterator[Section]:
    """The sections of a reStructuredText document, in order; levels are in the order in which adornments appear.

    >>> [(s.path, s.text) for s in rst_sections("Tea\\n===\\nDrink.\\n\\nGreen\\n-----\\nSteep.")]
    [(('Tea',), 'Tea\\n===\\nDrink.'), (('Tea', 'Green'), 'Green\\n-----\\nSteep.')]
    """
    lines = [line + "\n" for line in text.split("\n")]
    styles: list[str] = []
    above: list[tuple[int, str]] = []
    current = Section("", ())
    start = line = 0
    while line < len(lines):
        height, style = _heading(lines, line)
        if not height:
            line = max(_code_end(lines, line), line + 1)
            continue
        current.blocks.extend(_blocks(lines[start:line]))
        if current.heading or current.blocks:
            yield current
        if style not in styles:
            styles.append(style)
        level = styles.index(style)
        title = " ".join(lines[line + (height == 3)].split())[:MAX_TITLE]
        above = [(other, name) for other, name in above if other < level] + [(level, title)]
        current = Section("".join(lines[line : line + height]), tuple(name for _, name in above), level=level + 1)
        start = line = line + height
    current.blocks.extend(_blocks(lines[start:]))
    yield current


def _heading(lines: list[str], at: int) -> tuple[int, str]:
    """(lines of a heading that begins here, its style), (0, "") where there is none."""
    first, second, third = (lines[at + offset] if at + offset < len(lines) else "\n" for offset in range(3))
    over = _ADORNMENT.fullmatch(first)
    if over and first.rstrip() == third.rstrip() and second.strip() and _covers(first, second.strip()):
        return 3, over[1] * 2
    under = _ADORNMENT.fullmatch(second)
    after_blank = at == 0 or not lines[at - 1].strip() or bool(_ADORNMENT.fullmatch(lines[at - 1]))
    if under and not over and first.strip() and not first[0].isspace() and after_blank and _covers(second, first):
        return 2, under[1]
    return 0, ""


def _covers(adornment: str, title: str) -> bool:
    """docutils takes a line that is too short from four marks on."""
    length = len(adornment.rstrip())
    return length >= min(4, len(title.rstrip()))


def _code_end(lines: list[str], at: int) -> int:
    """The line after the code block that is announced here; `at` when none is."""
    if not lines[at].strip() or not _CODE.match(lines[at].lstrip()):
        return at
    indent = _width(lines[at])
    end = at + 1
    while end < len(lines) and (not lines[end].strip() or _width(lines[end]) > indent):
        end += 1
    return end


def _table_end(lines: list[str], at: int) -> int:
    """The line after the table that begins here; `at` where none does."""
    if _GRID.fullmatch(lines[at]):
        end = at + 1
        while end < len(lines) and lines[end].lstrip()[:1] in ("+", "|"):
            end += 1
        return end
    if not _SIMPLE.fullmatch(lines[at]):
        return at
    rules = [at]
    for line in range(at + 1, len(lines)):
        if _SIMPLE.fullmatch(lines[line]):
            rules.append(line)
            if len(rules) == 3 or line + 1 == len(lines) or not lines[line + 1].strip():
                return line + 1
    return at


def _width(line: str) -> int:
    return len(_INDENT.match(line)[0].expandtabs())  # type: ignore[index]


def _blocks(lines: list[str]) -> Iterator[Block]:
    """Paragraphs, code blocks and tables, blank lines with what they follow."""
    at = line = 0
    while line < len(lines):
        kind: Kind = "code"
        end = _code_end(lines, line)
        if end <= line + 1:
            end, kind = _table_end(lines, line), "table"
        if end > line + 1:
            if at < line:
                yield _block(lines[at:line], "prose")
            yield _block(lines[line:end], kind)
            at = line = end
        else:
            line += 1
    if at < len(lines) and any(one.strip() for one in lines[at:]):
        yield _block(lines[at:], "prose")


def _block(lines: list[str], kind: Kind) -> Block:
    return Block("".join(line for line in lines if kind == "code" or not _TARGET.fullmatch(line)), kind)
