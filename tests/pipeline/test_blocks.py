"""Code, tables and MDX: what a passage must keep together, and what is noise."""

from __future__ import annotations

import pytest
from llama_index.core.schema import TextNode
from qwen3_rag.documents.blocks import MAX_CODE_TOKENS, header_height, split_code, split_table
from qwen3_rag.documents.chunking import PassageParser, count_tokens
from qwen3_rag.documents.readers import make_document

CODE = "# not a heading\nvalue = compute(1, 2)\n\n" + "value = compute(3, 4)\n" * 40
PROSE = "Prose sentence here. " * 30


def passages(text: str, source: str = "a.md", size: int = 128) -> list[TextNode]:
    document = make_document(text, source, "markdown")
    return PassageParser(chunk_size=size, chunk_overlap=0).get_nodes_from_documents([document])  # type: ignore[return-value]


def indented(text: str, by: str) -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


FENCED = f"```python title=x\n{CODE}```\n"
PLACES = {
    "list": f"1. Step.\n\n{indented(FENCED, '   ')}\n2. {PROSE}\n",
    "tight list": f"- Step.\n{indented(FENCED, '  ')}- {PROSE}\n",
    "nested list": f"- a\n  - b\n\n{indented(FENCED, '    ')}\n- {PROSE}\n",
    "quote": f"> Note:\n>\n{''.join('> ' + line for line in FENCED.splitlines(keepends=True))}\n{PROSE}\n",
    "tag": f'<Tabs>\n<TabItem value="sh">\n{FENCED}</TabItem>\n</Tabs>\n\n{PROSE}\n',
    "tag with a blank line": f"<Tabs>\n\n{FENCED}\n</Tabs>\n\n{PROSE}\n",
    "details": f"<details><summary>More</summary>\n{FENCED}</details>\n\n{PROSE}\n",
    "tilde": f"{PROSE}\n\n~~~sh\n{CODE}~~~\n",
    "content tab": f'=== "Shell"\n\n{indented(FENCED, "    ")}\n\n{PROSE}\n',
    "pre": f"{PROSE}\n\n<pre>\n{CODE}</pre>\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_code_is_whole_wherever_it_stands_and_its_comments_are_no_headings(place: str) -> None:
    found = passages(f"# Top\n\n{PLACES[place]}\n## Next\n\nText.\n")
    assert {node.metadata["header_path"] for node in found} == {"Top", "Top > Next"}
    whole = [node.text for node in found if node.text.count("compute(") == 41]
    assert len(whole) == 1, [node.text for node in found]
    assert "# not a heading" in whole[0]
    assert all(len(count_tokens(node.text)) <= 128 for node in found if node.text not in whole)


@pytest.mark.parametrize("indent", ["", "  ", "    ", "\t\t"])
def test_mdx_has_code_in_fences_alone_at_any_indent(indent: str) -> None:
    code = indented(FENCED, indent)
    found = passages(f"# Top\n\n<Tabs>\n  <TabItem>\n\n{code}\n  </TabItem>\n</Tabs>\n\n    Indented text.\n", "a.mdx")
    assert {node.metadata["header_path"] for node in found} == {"Top"}
    assert sum(node.text.count("compute(") == 41 for node in found) == 1


@pytest.mark.parametrize("before", ["", "- ", "> "])
def test_larger_code_is_cut_at_line_ends_under_its_fence(before: str) -> None:
    lines = [f"value_{number} = compute({number})" for number in range(900)]
    inside = before if before == "> " else " " * len(before)
    code = [f"{before}```python", *(inside + line for line in lines), f"{inside}```"]
    found = passages("# Top\n\n" + "\n".join(code) + "\n\nAfter.\n", size=512)
    pieces = [node.text.split("\n\n")[0].removeprefix("# Top\n") for node in found if "compute" in node.text]
    assert len(pieces) > 10
    for piece in pieces:
        assert piece.startswith(f"{before}```python\n".lstrip() if before != "> " else "> ```python\n")
        assert piece.endswith(f"\n{inside}```")
        assert len(count_tokens(piece)) <= 520
    seen = [line.strip("> ") for piece in pieces for line in piece.splitlines() if "compute" in line]
    assert seen == lines, "each line once, whole, in order"


def test_code_of_a_sane_size_is_not_cut() -> None:
    lines = "x = 1\n" * (MAX_CODE_TOKENS // 3 - 10)
    assert sum("x = 1" in node.text for node in passages(f"# A\n\n{PROSE}\n\n```py\n{lines}```\n")) == 1


def test_an_endless_line_of_code_is_cut_under_its_fence() -> None:
    found = passages("# A\n\n```json\n" + '{"key": "value"}, ' * 4_000 + "\n```\n", size=512)
    assert len(found) > 20
    assert all(node.text.startswith("# A\n```json\n") and node.text.endswith("\n```") for node in found[:-1])
    assert "".join(node.text for node in found).count('"key"') == 4_000


def test_a_long_line_that_fits_stays_whole_and_an_endless_one_shares_nothing() -> None:
    long, endless = "word " * 1_000, "word " * 20_000
    code = f"```\n{long}\n{endless}\n```"
    pieces = list(split_code(code, 100))
    assert pieces[0] == f"```\n{long}\n```"
    assert sum(piece.count("word") for piece in pieces) == 21_000


def test_after_a_fence_is_closed_code_is_cut_without_one() -> None:
    code = "```py\n" + "x = 1\n" * 2_000 + "```\n" + "y = 2\n" * 2_000
    pieces = list(split_code(code, 90))
    assert all(piece.startswith("```py\n") and "\n```" in piece for piece in pieces if "x" in piece)
    assert all("```" not in piece for piece in pieces if "x" not in piece)
    assert "".join(pieces).count("y = 2") == 2_000


def test_pieces_of_code_are_as_full_as_they_may_be() -> None:
    lines = ["x = 1"] * 2_000  # three tokens each
    assert [piece.count("x") for piece in split_code("\n".join(lines), 30)] == [10] * 200


def test_pieces_of_a_table_are_as_full_as_they_may_be() -> None:
    rows = ["a b c d e"] * 40  # five tokens each
    header = ["f g h i j", "k l m n o"]
    pieces = [piece.splitlines() for piece in split_table("\n".join([*header, *rows]), 20)]
    assert pieces == [[*header, *rows[:2]]] * 20, "a header of half the size is repeated"
    larger = [*header[:1], "k l m n o p"]
    pieces = [piece.splitlines() for piece in split_table("\n".join([*larger, *rows]), 20)]
    assert pieces[0][:2] == larger
    assert all("f" not in line for piece in pieces[1:] for line in piece), "a larger one is a row as any other"


@pytest.mark.parametrize(
    ("lines", "height"),
    [
        (["| a |", "|---|", "| 1 |"], 2),
        (["+---+", "| a |", "| b |", "+===+", "| 1 |", "+---+"], 4),
        (["+---+", "| 1 |", "+---+"], 1),
        (["== ==", "a  b", "c  d", "== ==", "1  2", "== =="], 4),
        (["== ==", "1  2", "", "3  4", "== =="], 1),
    ],
)
def test_a_header_ends_with_its_rule(lines: list[str], height: int) -> None:
    assert header_height(lines) == height


HEADER = "| key | meaning |\n|:---|---|\n"


@pytest.mark.parametrize("before", ["", "Intro.\n", "- item\n\n", "> "])
def test_each_piece_of_a_table_has_its_header(before: str) -> None:
    inside = {"- item\n\n": "  ", "> ": "> "}.get(before, "")
    table = indented(HEADER + "".join(f"| option_{n} | what number {n} does |\n" for n in range(100)), inside)
    found = passages(f"# Top\n\n{before.removesuffix('> ')}{table}\n## Next\n\nText.\n")
    pieces = [node.text for node in found if "option_" in node.text]
    assert len(pieces) > 5
    for piece in pieces:
        assert piece.count("| key | meaning |") == 1
        assert piece.index("meaning") < piece.index("option_")
    assert [f"option_{n} " in piece for piece in pieces for n in range(100)].count(True) == 100
    rows = [line.strip() for piece in pieces for line in piece.splitlines() if "option_" in line]
    assert all(row.endswith("|") for row in rows), "no row is cut"


def test_a_row_or_a_header_over_the_size_is_kept_in_pieces() -> None:
    long_row = passages("# A\n\n" + HEADER + "| a | " + "word " * 500 + "|\n| b | c |\n")
    assert "".join(node.text for node in long_row).count("word") == 500
    assert all("| key | meaning |" in node.text for node in long_row)
    long_header = passages("# A\n\n| " + "word " * 500 + "| b |\n|---|---|\n| c | d |\n")
    assert "".join(node.text for node in long_header).count("word") == 500


NOISE = """import Tabs from '@theme/Tabs';
import {
  One,

  Two
} from "pkg";
export const v = {
  a: "}",

  b: 2,
};

# Title {#title}

<a id="old"></a>

Import taxes are high. `{#if}` stays, so does `<a id="x"></a>`.

## <a name="sub"></a>Sub {/* #sub */}

- <a id="item" /> Export it.

import is a word here, and so is
export default at the start of a line.

```js
import Tabs from '@theme/Tabs';
export const v = 3; // {#a}
```
"""


def test_statements_and_anchors_of_mdx_are_left_out_and_prose_is_not() -> None:
    found = passages(NOISE, "a.mdx", size=512)
    assert [node.metadata["header_path"] for node in found] == ["Title", "Title > Sub"]
    text = "\n".join(node.text for node in found)
    assert text.startswith("# Title\n")
    for kept in (
        "Import taxes", "`{#if}`", '`<a id="x"></a>`', "## Sub\n", "- Export it.", "import is a word",
        "export default at", "```js\nimport Tabs from '@theme/Tabs';\nexport const v = 3; // {#a}\n```",
    ):  # fmt: skip
        assert kept in text
    for gone in ("One", "pkg", "b: 2", "{#title}", "old", "name=", "#sub", 'item"'):
        assert gone not in text


def test_statements_are_text_in_plain_markdown_and_where_they_are_not_closed() -> None:
    statement = "import Tabs from '@theme/Tabs';"
    assert passages(f"{statement}\n\ntext")[0].text.startswith(statement)
    unclosed = "export const open = {\n\nThis is text.\n\n" * 3
    assert "".join(node.text for node in passages(unclosed, "a.mdx")).count("This is text.") == 3
