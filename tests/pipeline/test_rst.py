"""reStructuredText: sections by adornment, code whole, nothing lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.readers import make_document
from qwen3_rag.documents.rst import rst_sections
from support.seeds import examples

PAGE = """.. _top:

==========
User guide
==========

Intro.

Install
=======

Run this::

    # not a heading
    pip install x

    not a heading either
    --------------------

From source
-----------

.. code-block:: bash
   :caption: x

   make

Short
----

Use
===

A table:

=====  =====
a      b
=====  =====
1      2
=====  =====

* item
* item
"""


def test_headings_are_told_by_their_adornment() -> None:
    document = make_document(PAGE, "guide.rst", "rst")
    found = PassageParser().get_nodes_from_documents([document])
    assert [(node.metadata["header_path"], node.get_content().splitlines()[0]) for node in found] == [
        ("User guide", "=========="),
        ("User guide > Install", "Install"),
        ("User guide > Install > From source", "From source"),
        ("User guide > Install > Short", "Short"),
        ("User guide > Use", "Use"),
    ]
    assert "Intro." in found[0].get_content()
    assert "=====  =====\n1      2" in found[-1].get_content()


def test_code_over_the_size_is_whole() -> None:
    code = "\n".join(f"   value = compute({number})" for number in range(40))
    text = f"Top\n===\n\n{'Prose here. ' * 100}\n\n.. code-block:: python\n\n{code}\n\n{'More prose. ' * 100}\n"
    found = PassageParser(chunk_size=64).get_nodes_from_documents([make_document(text, "a.rst", "rst")])
    assert sum(node.get_content().count("compute(") == 40 for node in found) == 1
    assert all(node.get_content().startswith("Top\n===\n") for node in found)


@given(
    st.lists(st.sampled_from(["Title", "====", "---", "", "  code", "text::", ".. code::", "*", "a -- b"]), max_size=40)
)
@settings(max_examples=examples(300))
def test_sections_lose_no_line(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = "".join("".join([s.heading, *(block.text for block in s.blocks)]) for s in rst_sections(text))
    assert found.split() == text.split()


@pytest.mark.parametrize("indent", ["", "   "])
@pytest.mark.parametrize("kind", ["grid", "simple"])
def test_each_piece_of_a_long_table_is_under_its_header(kind: str, indent: str) -> None:
    rows = [f"row {number}" for number in range(200)]
    if kind == "grid":
        rule = "+----------+--------------------+"
        header = [rule, "| name     | words              |", rule.replace("-", "=")]
        body = [line for row in rows for line in (f"| {row:8} | some words of it   |", rule)]
    else:
        rule = "==========  =================="
        header, body = [rule, "name        words", rule], [*(f"{row:10}  some words of it" for row in rows), rule]
    table = "".join(f"{indent}{line}\n" for line in [*header, *body])
    text = f"Title\n=====\n\nBefore.\n\n{table}\nBehind.\n\nT\n=\n\nOne letter.\n"
    found = PassageParser().get_nodes_from_documents([make_document(text, "a.rst", "rst")])
    pieces = [node.get_content() for node in found if "row " in node.get_content()]
    assert len(pieces) > 2
    assert all(f"{indent}{header[1]}" in piece for piece in pieces)
    assert [row for piece in pieces for row in re.findall(r"row \d+", piece)] == rows
    assert found[-1].metadata["header_path"] == "T"
    assert "Behind." in found[-2].get_content()
