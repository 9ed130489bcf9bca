"""The CommonMark parser markdown-it, with the block rules that documentation needs beyond CommonMark.

- A table is one token: cells are of no interest here, and tokens for each of them cost hundreds of bytes.
- A tag's block ends before a code fence, so that the fence is code: `<TabItem>` and a fence in the next line.
- MDX: `import` and `export` statements are a block of their own; code is in fences alone, at any depth of indent.
"""

from __future__ import annotations

import re
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, html_block

_FENCE = re.compile(r"`{3,}[^`]*$|~{3,}")
# These end at their own closing mark, blank lines and fences included.
_RAW_HTML = re.compile(r"<(?:!|\?|(?:script|pre|style|textarea)\b)", re.IGNORECASE)
_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_COLUMN_END = re.compile(r"(?<!\\)\|")
_STATEMENT = re.compile(
    r"""import\s+(?:["'][^"'\n]+["']|[\w$*{][^"';]*\bfrom\s*["'])
    | import\s*\{\s*$ | import\s+[\w$]+\s*,\s*\{\s*$
    | export\s+(?:default\s+\S | (?:const|let|var)\s+[\w$\[{][^=\n]*= | (?:async\s+)?function\b | class\s+\w | [{*])""",
    re.VERBOSE,
)
_STRING = re.compile(r"""'(?:\\.|[^'\\])*+'|"(?:\\.|[^"\\])*+"|//.*""")


@cache
def parser(mdx: bool = False) -> MarkdownIt:
    """The block parser. It makes no inline tokens, and is safe to share between threads."""
    made = MarkdownIt("commonmark").disable("inline")
    made.block.ruler.at("html_block", _html_until_fence, {"alt": ["paragraph", "reference", "blockquote"]})
    made.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    made.enable("table")
    if mdx:
        made.block.ruler.before("table", "statement", _statement)
        made.disable("code")
    return made


@cache
def inline_parser() -> MarkdownIt:
    """For what stands in a line: links, code, emphasis."""
    return MarkdownIt("commonmark")


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _html_until_fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if silent or _RAW_HTML.match(_line(state, start)):
        return bool(html_block(state, start, end, silent))
    if not html_block(state, start, start + 1, silent):
        return False
    line = start + 1
    while line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        if _FENCE.match(_line(state, line)):
            break
        line += 1
    state.line = line
    state.tokens[-1].map = [start, line]
    return True


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if start + 2 > end or state.sCount[start + 1] < state.blkIndent:
        return False
    if state.is_code_block(start) or state.is_code_block(start + 1):
        return False
    header, rule = _line(state, start).strip(), _line(state, start + 1).strip()
    if "|" not in header or not _DELIMITERS.fullmatch(rule) or _columns(header) != _columns(rule):
        return False
    if silent:
        return True
    above, state.parentType = state.parentType, "table"
    terminators = state.md.block.ruler.getRules("blockquote")
    line = start + 2
    while line < end and state.sCount[line] >= state.blkIndent and not state.isEmpty(line):
        if state.is_code_block(line) or any(rule(state, line, end, True) for rule in terminators):
            break
        line += 1
    token = state.push("table", "table", 0)
    token.map = [start, line]
    state.parentType, state.line = above, line
    return True


def _columns(row: str) -> int:
    return len(_COLUMN_END.split(row.removeprefix("|").removesuffix("|")))


def _statement(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """An MDX `import` or `export`: up to the first blank line outside brackets. What is never closed is text."""
    if state.level or state.blkIndent or state.sCount[start] or not _STATEMENT.match(_line(state, start)):
        return False
    depth, line = 0, start
    while line < end and not (state.isEmpty(line) and (depth <= 0 or "unclosed" in state.env)):
        code = _STRING.sub("", _line(state, line))
        depth += sum(map(code.count, "([{")) - sum(map(code.count, ")]}"))
        line += 1
    if depth > 0:
        state.env["unclosed"] = True  # the rest is not searched again: the time would grow with the square
        return False
    token = state.push("statement", "", 0)
    token.map = [start, line]
    state.line = line
    return True
