"""Markdown as sections of blocks, by the CommonMark parser markdown-it: what is a heading and what is code is its call.

Line splitting by `#` alone (and `MarkdownNodeParser`, which does that) misses indented and underlined headings, and
takes comments in `~~~` code for headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass
class Section:
    """A heading with what follows it up to the next heading. `blocks` are (text, is_code), the heading excluded."""

    heading: str
    path: tuple[str, ...]
    blocks: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The section's lines as they stand in the file."""
        return "".join([self.heading, *(text for text, _ in self.blocks)]).strip()

    @property
    def has_body(self) -> bool:
        """Whether anything but the heading and comments is in it."""
        return bool(_COMMENT.sub("", "".join(text for text, _ in self.blocks)).strip())


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").disable("inline")


def sections(text: str) -> Iterator[Section]:
    """The sections of a Markdown text, in order; text before the first heading is a section without one.

    >>> [(s.path, s.text) for s in sections("# Tea\\nDrink.\\n## Green\\nSteep.")]
    [(('Tea',), '# Tea\\nDrink.'), (('Tea', 'Green'), '## Green\\nSteep.')]
    """
    lines = [line + "\n" for line in text.split("\n")]  # splitlines() knows line ends that CommonMark does not
    tokens = _parser().parse(text)
    blocks = list(_blocks(tokens))
    starts = [start for _, start in blocks] + [len(lines)]
    above: list[tuple[int, str]] = []
    current = Section("", ())
    if starts[0] > 0:  # lines without tokens of their own, such as link definitions
        current.blocks.append(("".join(lines[: starts[0]]), False))
    for (index, start), end in zip(blocks, starts[1:], strict=True):
        token = tokens[index]
        if token.type != "heading_open":
            current.blocks.append(("".join(lines[start:end]), token.type in ("fence", "code_block")))
            continue
        if current.heading or current.blocks:
            yield current
        level, title = int(token.tag[1:]), " ".join(tokens[index + 1].content.split())
        above = [(other, name) for other, name in above if other < level] + [(level, title)]
        own_end = token.map[1] if token.map else end
        current = Section("".join(lines[start:own_end]), tuple(name for _, name in above if name))
        current.blocks.append(("".join(lines[own_end:end]), False))
    yield current


def _blocks(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """(token index, first line) of each block. A list is one block, unless headings stand in its items: then, as in
    pages whose text is indented throughout, the items' blocks count one by one."""
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.nesting == 1:
            close = _closing(tokens, index)
            inner_heading = any(t.type == "heading_open" for t in tokens[index + 1 : close])
            if not inner_heading or token.type == "blockquote_open":
                if token.map:
                    yield index, token.map[0]
                index = close
        elif token.nesting == 0 and token.map:
            yield index, token.map[0]
        index += 1


def _closing(tokens: list[Token], index: int) -> int:
    level = tokens[index].level
    return next(i for i in range(index + 1, len(tokens)) if tokens[i].level == level and tokens[i].nesting == -1)
