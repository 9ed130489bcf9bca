"""Where documents are cut, and what a passage keeps."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.schema import MetadataMode, TextNode
from qwen3_rag.documents.chunking import MAX_BYTES, PassageParser, count_tokens, sentences
from qwen3_rag.documents.markdown import sections
from qwen3_rag.documents.readers import MarkdownReader, make_document
from support.seeds import examples

from .conftest import SHARED


def passages(text: str, kind: str = "markdown", **settings: int) -> list[TextNode]:
    return PassageParser(**settings).get_nodes_from_documents([make_document(text, "a.md", kind)])  # type: ignore[return-value]


def paths(text: str) -> list[str]:
    return [str(node.metadata["header_path"]) for node in passages(text)]


def test_each_heading_starts_a_passage_with_the_heading_in_its_text() -> None:
    found = passages("intro\n\n# One\n\nfirst\n\n## Two\n\nsecond\n")
    assert [node.text for node in found] == ["intro", "# One\n\nfirst", "## Two\n\nsecond"]
    assert [node.metadata["header_path"] for node in found] == ["", "One", "One > Two"]


def test_headings_by_underline_and_by_indent_are_headings() -> None:
    assert paths("One\n===\na\n\nTwo\n---\nb\n\n  ### Three\n  c\n") == ["One", "One > Two", "One > Two > Three"]


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_a_comment_in_code_is_no_heading(fence: str) -> None:
    text = f"# One\n\n{fence}bash\n# not a heading\nls\n{fence}\n"
    assert [node.text for node in passages(text)] == [text.strip()]


def test_a_level_that_is_skipped_keeps_the_path_right() -> None:
    assert paths("# A\na\n### C\nc\n## B\nb\n# D\nd") == ["A", "A > C", "A > B", "D"]


def test_a_heading_with_nothing_under_it_is_left_to_its_children() -> None:
    assert paths("# A\n\n<!-- toc -->\n\n## B\ntext") == ["A > B"]
    assert paths("# A\n\n## B\n") == ["A", "A > B"], "a document of headings alone keeps them"


def test_code_is_kept_whole_even_over_the_size() -> None:
    code = "```python\n" + "value = compute(1, 2)\n" * 200 + "```"
    found = passages(f"# Long\n\n{'Prose sentence here. ' * 100}\n\n{code}\n\nafter", chunk_size=128)
    assert [node.text for node in found if code in node.text] != []
    assert all(node.text.startswith("# Long\n") for node in found), "each piece repeats the heading"
    prose = [node.text for node in found if code not in node.text]
    assert all(len(count_tokens(text)) <= 128 for text in prose)


def test_code_over_the_byte_limit_is_cut() -> None:
    found = passages("# Big\n\n```\n" + "数据库\n" * 20_000 + "```")
    assert len(found) > 1
    assert max(len(node.text.encode()) for node in found) <= 65_535


@pytest.mark.parametrize("unit", ["a", "数", "word ", "文。", "x\n", "é"])
def test_any_long_text_fits_milvus_and_keeps_its_letters(unit: str) -> None:
    text = unit * (150_000 // len(unit.encode()))
    for kind in ("markdown", "text", "beir"):
        found = passages(text, kind, chunk_overlap=0)
        assert max(len(node.text.encode()) for node in found) <= MAX_BYTES
        joined = "".join("".join(node.text.split()) for node in found)
        assert joined == "".join(text.split())


def test_a_beir_document_stays_one_passage() -> None:
    assert len(passages("sentence here. " * 1000, "beir")) == 1
    assert len(passages("sentence here. " * 1000, "text")) > 1


def test_passages_embed_as_their_text_alone() -> None:
    node = passages("# One\nfirst")[0]
    assert node.get_content(metadata_mode=MetadataMode.EMBED) == "# One\nfirst"
    assert "header_path: One" in node.get_content(metadata_mode=MetadataMode.LLM)


def test_an_id_is_made_of_source_count_text_and_path() -> None:
    for count, node in enumerate(passages("# A\n\nb\n\n# A\n\nb\n"), 1):
        key = json.dumps(["# A\n\nb", "A"])
        assert node.node_id == sha256(f"a.md\0{count}\0{key}".encode()).hexdigest()[:32]
        assert node.source_node is not None
        assert node.source_node.metadata == {"source": "a.md", "format": "markdown"}


def test_what_stands_before_the_first_heading_stands_under_the_title() -> None:
    document = make_document("intro\n\n# One\n\na\n", "a.md", "markdown", title="Given")
    found = PassageParser().get_nodes_from_documents([document])
    assert [node.metadata["header_path"] for node in found] == ["Given", "One"]
    assert paths("no heading at all") == [""]


def test_ids_depend_on_source_and_content_and_not_on_place() -> None:
    before = {node.text: node.node_id for node in passages("# A\na\n# B\nb\n# B\nb\n")}
    after = {node.text: node.node_id for node in passages("# New\nn\n# A\na\n# B\nb\n# B\nb\n")}
    assert before.items() <= after.items()
    twice = [node.node_id for node in passages("# B\nb\n# B\nb\n")]
    assert len(set(twice)) == 2, "equal passages of one document are two rows"
    other = PassageParser().get_nodes_from_documents([make_document("# A\na", "other.md", "markdown")])
    assert other[0].node_id != before["# A\na"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400))
@settings(max_examples=examples(200))
def test_sections_lose_no_line(text: str) -> None:
    body = text.replace("\r", "\n").replace("\0", "")
    found = "".join("".join([s.heading, *(t for t, _ in s.blocks)]) for s in sections(body))
    assert "".join(found.split()) == "".join(body.split())


@given(st.text(max_size=300))
def test_sentences_joined_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


@pytest.mark.skipif(not (SHARED / "data" / "milvus-faq").is_dir(), reason="the Milvus FAQ is not at ../shared")
def test_each_faq_question_is_one_passage_with_its_answer() -> None:
    files = sorted((SHARED / "data" / "milvus-faq").glob("*.md"))
    texts = [node.text for file in files for document in MarkdownReader().lazy_load_data(file)
             for node in PassageParser().get_nodes_from_documents([document])]  # fmt: skip
    questions = [line for file in files for line in file.read_text().splitlines() if line.startswith("#### ")]
    assert len(questions) > 40
    for question in questions:
        assert [text.count("#### ") for text in texts if text.startswith(question.strip())] == [1] * questions.count(
            question
        )


def test_front_matter_becomes_the_title(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text('---\ntitle: "The title"\nid: x\n---\n# A\ntext\n')
    document = next(iter(MarkdownReader().lazy_load_data(file, source="a.md")))
    assert document.metadata["title"] == "The title"
    assert document.text == "# A\ntext\n"


def test_a_heading_that_nothing_shows_is_kept() -> None:
    assert paths("# A\n\n## Gone in 3.0\n\n## B\ntext") == ["A > Gone in 3.0", "A > B"]
    assert paths("# A\ntext\n\n## Last") == ["A", "A > Last"]


@pytest.mark.parametrize("text", ["word word. " + "no end " * 300 + ". Next one. " * 300, "a " * 2_000 + "\nb\n" * 500])
def test_a_sentence_over_the_size_keeps_its_end(text: str) -> None:
    found = "".join(node.text for node in passages(text, "text", chunk_overlap=0, chunk_size=64))
    assert "".join(found.split()) == "".join(text.split())


def test_a_heading_over_the_size_keeps_its_end() -> None:
    title = " ".join(f"word{number}" for number in range(5_000))
    words = {word for node in passages(f"# {title}\n\nbody") for word in node.text.split()}
    assert words >= {f"word{number}" for number in range(5_000)}


_WORDS = st.text(alphabet="ab.,!?数。 \n`|<>-*#\t\"'", max_size=60)
_BODY = st.one_of(
    _WORDS,
    _WORDS.map(lambda text: f"```py\n{text * 5}\n```"),
    _WORDS.map(lambda text: "- item\n\n  ~~~\n" + "".join(f"  {line}\n" for line in text.splitlines()) + "  ~~~"),
    st.integers(1, 40).map(lambda rows: "| a | b |\n|---|---|\n" + f"| {'cell ' * rows} | x |\n" * rows),
    st.integers(100, 900).map(lambda size: "x" * size),
    st.integers(1, 60).map(lambda size: "A sentence here. " * size),
    st.integers(1, 200).map(lambda size: f"<div>\n{'word ' * size}\n</div>"),
)


@given(st.lists(st.tuples(st.sampled_from(["", "# H\n\n", "T\n===\n\n", "### Deep\n\n"]), _BODY), max_size=6))
@settings(max_examples=examples(150))
def test_no_letter_is_lost_and_their_order_is_kept(blocks: list[tuple[str, str]]) -> None:
    text = "\n\n".join(heading + body + "\n\nend" for heading, body in blocks)
    for kind, source in (("markdown", "a.md"), ("markdown", "a.mdx"), ("text", "a.txt"), ("beir", "a")):
        document = make_document(text, source, kind)
        found = PassageParser(chunk_size=32, chunk_overlap=0).get_nodes_from_documents([document])
        letters = iter("".join(f"{node.metadata.get('header_path', '')}{node.get_content()}" for node in found))
        missing = next((letter for letter in text if not letter.isspace() and letter not in letters), None)
        assert missing is None, (kind, missing)


ODD = {
    "one endless line": "the quick brown fox jumps over a lazy dog, " * 25_000,
    "sentences": "The quick brown fox. " * 25_000,
    "dots": "." * 500_000 + "x",
    "quoted dots": '".' * 250_000,
    "blank lines": "a" + "\n" * 500_000 + "b",
    "spaces": "a" + " " * 500_000 + "b",
    "base64": "QUJD" * 125_000,
    "brackets": "[" * 150_000,
    "link definitions": "[a]: b 'x\n" * 25_000,
    "open comments": "# H\n\n" + "x <!-- y\n\n" * 25_000,
    "open comments at line starts": "<!-- y\n\n" * 25_000,
    "tags and fences": "<div>\n```\n" * 25_000,
    "quotes": "> > > > > > > " * 10_000,
    "list items": "- item\n" * 25_000,
    "deep lists": "\n".join("  " * depth + "- x" for depth in range(800)),
    "headings": "# H\n" * 5_000,
    "one long heading": "# " + "h" * 250_000 + "\n" + "## x\n\ny\n\n" * 5_000,
    "table": "|a|b|\n|-|-|\n" + "|1|value|\n" * 25_000,
    "open statements": "export const a = {\n\n" * 25_000,
    "code": "```\n" + "x = 1\n" * 50_000,
    "ticks": "`" * 250_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ODD)
def test_time_is_linear_in_any_text(name: str) -> None:
    """Each takes a second; in the square of its size it would take many minutes."""
    for kind, source in (("markdown", "a.mdx"), ("text", "a.txt")):
        found = PassageParser().get_nodes_from_documents([make_document(ODD[name], source, kind)])
        assert found
        assert max(len(node.get_content().encode()) for node in found) <= 65_535
