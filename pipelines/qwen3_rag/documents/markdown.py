"""Markdown as sections of blocks, by the CommonMark parser markdown-it: what is a heading and what is code is its call.

Line splitting by `#` alone (and `MarkdownNodeParser`, which does that) misses indented and underlined headings, and
takes comments in `~~~` code for headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from markdown_it.token import Token

from qwen3_rag.documents.markdown_rules import inline_parser, parser

MAX_TITLE = 1_000

Kind = Literal["prose", "code", "table"]
_KINDS: dict[str, Kind] = {"fence": "code", "code_block": "code", "table": "table"}
_ANCHOR = r"""<a\s+(?:id|name)\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[\w.:-]+)\s*(?:/>|>\s*</a\s*>)"""
# Only where no code span can be open: at the start of a line, after list, quote and heading marks.
_ANCHOR_FIRST = re.compile(rf"^((?:[ \t]|[-+*>#](?=[ \t]))*){_ANCHOR}[ \t]*", re.MULTILINE)
_PERMALINKS = frozenset({"", "¶", "#", "§", "🔗", "\u200b", "\uf0c1"})
"""What a link shows that leads from a heading to itself."""
_HEADING_ID = re.compile(r"[ \t]*(?:\{#[\w.:-]+\}|\{/\*[ \t]*#[\w.:-]+[ \t]*\*/\})[ \t]*$", re.MULTILINE)


class Block(NamedTuple):
    """Lines as they stand in the file, and what they are."""

    text: str
    kind: Kind


@dataclass
class Section:
    """A heading with what follows it up to the next heading. `blocks` are in order, the heading excluded; `level` is 1
    for the largest headings, 0 without one."""

    heading: str
    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    level: int = 0

    @property
    def text(self) -> str:
        """The section's lines."""
        return "".join([self.heading, *(block.text for block in self.blocks)]).strip()

    @property
    def has_body(self) -> bool:
        """Whether anything but the heading and comments is in it."""
        return bool(_without_comments("".join(block.text for block in self.blocks)).strip())


def sections(text: str, mdx: bool = False, above: list[tuple[int, str]] | None = None) -> Iterator[Section]:
    """The sections of a Markdown text, in order; text before the first heading is a section without one.

    `above` are the headings, with their levels, that stand over the text, of pages before it; it is brought up to date.
    Anchors (`{#id}` after a heading, an empty `<a id>`) and the statements of MDX are left out: they are for machines.

    >>> [(s.path, s.text) for s in sections("# Tea\\nDrink.\\n## Green {#g}\\nSteep.")]
    [(('Tea',), '# Tea\\nDrink.'), (('Tea', 'Green'), '## Green\\nSteep.')]
    """
    lines = [line + "\n" for line in text.split("\n")]  # splitlines() knows line ends that CommonMark does not
    tokens = parser(mdx).parse(text)
    blocks = list(_blocks(tokens))
    starts = [start for _, start in blocks] + [len(lines)]
    above = [] if above is None else above
    current = Section("", tuple(name for _, name in above if name))
    if starts[0] > 0:  # lines without tokens of their own, such as link definitions
        current.blocks.append(Block("".join(lines[: starts[0]]), "prose"))
    for (index, start), end in zip(blocks, starts[1:], strict=True):
        token = tokens[index]
        if token.type != "heading_open":
            current.blocks.extend(_parts(tokens, index, start, end, lines))
            continue
        if current.heading or current.blocks:
            yield current
        level, title = int(token.tag[1:]), _clean_heading(tokens[index + 1].content)
        above[:] = [(other, name) for other, name in above if other < level]
        above.append((level, " ".join(without_links(title).split())[:MAX_TITLE]))
        own_end = token.map[1] if token.map else end
        current = Section(_clean_heading("".join(lines[start:own_end])), tuple(name for _, name in above if name))
        current.level = level
        current.blocks.append(_block(lines[own_end:end], "prose"))
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


def _parts(tokens: list[Token], index: int, start: int, end: int, lines: list[str]) -> Iterator[Block]:
    """The lines of one block: code and tables, also inside a list or a quote, apart from the prose around them."""
    last = _closing(tokens, index) if tokens[index].nesting == 1 else index
    at = start
    for token in tokens[index : last + 1]:
        if not token.map or token.nesting == -1:
            continue
        kind = _kind(token)
        if kind != "prose" or token.type == "statement":
            yield from _unless_blank(lines[at : token.map[0]])
            at = token.map[1]
            if kind != "prose":
                while at < end and not lines[at].strip():  # blank lines behind belong to it
                    at += 1
                yield _block(lines[token.map[0] : at], kind)
    yield from _unless_blank(lines[at:end])


def _kind(token: Token) -> Kind:
    if token.type == "html_block" and token.content.lstrip()[:4].lower() == "<pre":
        return "code"
    return _KINDS.get(token.type, "prose")


def _unless_blank(lines: list[str]) -> Iterator[Block]:
    block = _block(lines, "prose")
    if block.text.strip():
        yield block


def _block(lines: list[str], kind: Kind) -> Block:
    text = "".join(lines)
    return Block(_ANCHOR_FIRST.sub(r"\1", text) if kind == "prose" and "<a" in text else text, kind)


def _clean_heading(text: str) -> str:
    if "{" in text:
        text = _HEADING_ID.sub("", text)
    if "<a" in text:
        text = re.sub(_ANCHOR, "", text) if "`" not in text else _ANCHOR_FIRST.sub(r"\1", text)
    return text


def without_links(heading: str) -> str:
    """A heading as it is read: what its links and images show, without where they lead.

    >>> without_links('[`Tea`](tea.md "more") and milk[¶](#tea)')
    '`Tea` and milk'
    """
    if "](" not in heading or len(heading) > 4 * MAX_TITLE:
        return heading
    shown: list[list[str]] = [[]]
    for token in inline_parser().parseInline(heading)[0].children or ():
        match token.type:
            case "link_open":
                shown.append([])
            case "link_close":
                text = "".join(shown.pop())
                shown[-1].append("" if text.strip() in _PERMALINKS else text)
            case "code_inline":
                shown[-1].append(f"{token.markup}{token.content}{token.markup}")
            case "softbreak" | "hardbreak":
                shown[-1].append(" ")
            case _:
                shown[-1].append(token.content or token.markup)
    return "".join(map("".join, shown))


def _without_comments(text: str) -> str:
    """The text without `<!-- -->`; an unclosed comment is text."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        kept.append(text[at:start])
        at = end + len("-->")
    return "".join([*kept, text[at:]])
