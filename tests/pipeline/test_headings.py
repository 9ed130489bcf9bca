"""A passage as the second stage reads it: under its title and headings; what is stored and shown stays as it is."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path

import pytest
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_rag import PassageParser, RagConfig, Session, make_document
from qwen3_rag.documents.front_matter import split_front_matter
from qwen3_rag.headings import PassageRerank, under_headings
from qwen3_rag.models import load_reranker

from .conftest import write

RST = "=====\nGuide\n=====\n\nIntro.\n\nUse `it`_\n=========\n\nText.\n"
MARKDOWN = (
    "---\ntitle: Tea\n---\nIntro.\n\n## Green [tea](x.md)\nSteep.\n\nSetext\n------\n\nText.\n\n### Deep\n\nMore.\n"
)


def nodes(text: str, kind: str, **metadata: str) -> list[TextNode]:
    found = PassageParser().get_nodes_from_documents([make_document(text, f"a.{kind}", kind, **metadata)])
    return [node for node in found if isinstance(node, TextNode)]


def test_the_way_stands_in_place_of_the_heading() -> None:
    found, text = split_front_matter(MARKDOWN)
    title = found["title"]
    assert [under_headings(one) for one in nodes(text, "markdown", title=str(title))] == [
        "Tea\nIntro.",
        "Tea > Green tea\nSteep.",
        "Tea > Setext\nText.",
        "Tea > Setext > Deep\nMore.",
    ]
    assert [under_headings(one) for one in nodes(RST, "rst")] == ["Guide\nIntro.", "Guide > Use `it`_\nText."]


def test_every_piece_of_a_long_section_has_its_way_once() -> None:
    found = nodes("# Book\n\n## Long\n\n" + "Otters swim in the river. " * 600, "markdown")
    assert len(found) > 3
    for one in found:
        lines = under_headings(one).split("\n", 1)
        assert lines[0] == "Book > Long"
        assert lines[1].startswith("Otters swim")


def test_a_first_line_that_only_begins_like_the_heading_stays() -> None:
    [one] = nodes("# Tea\n\nTea is drunk warm.", "markdown")
    assert under_headings(one) == "Tea\nTea is drunk warm."
    [sentence] = nodes("Tea is drunk warm.", "text", title="Tea")
    assert under_headings(sentence) == "Tea\nTea is drunk warm."


@pytest.mark.parametrize(
    "node",
    [
        TextNode(text="Plain."),
        nodes("Plain text.", "text")[0],
        nodes("Wings\nWings lift.", "beir", title="Wings")[0],
        TextNode(text="# Own\nText.", metadata={"title": "Shown", "header_path": "Shown > Own"}),
        TextNode(text="x", metadata={"title": 7, "header_path": None}, excluded_embed_metadata_keys=["title"]),
    ],
    ids=["no metadata", "no headings", "title in the text", "shown already", "no strings"],
)
def test_what_has_no_way_or_shows_it_itself_is_as_embedded(node: TextNode) -> None:
    assert under_headings(node) == node.get_content("embed")  # type: ignore[arg-type]


def test_a_reranker_judges_passages_under_their_headings(pair: Path) -> None:
    found = [NodeWithScore(node=one, score=0.5) for one in nodes(MARKDOWN, "markdown")]
    texts = [under_headings(one.node) for one in found]
    plain = Qwen3Rerank(pair / "reranker", top_n=9, device="cpu")
    expected = {texts[index]: score for index, score, _ in plain.rank("How?", texts)}
    rerank = PassageRerank(pair / "reranker", top_n=9, device="cpu")
    query = QueryBundle("How?")
    ways = [
        rerank.postprocess_nodes(found, query_bundle=query),
        asyncio.run(rerank.apostprocess_nodes(found, query_bundle=query)),
        rerank.postprocess_many([found], ["How?"])[0],
        pickle.loads(pickle.dumps(rerank)).postprocess_nodes(found, query_bundle=query),
        rerank.model_copy(update={"top_n": 8}).postprocess_nodes(found, query_bundle=query),
    ]
    for kept in ways:
        assert {under_headings(one.node): one.score for one in kept} == pytest.approx(expected)
        assert {one.node.get_content() for one in kept} == {one.node.get_content() for one in found}
    assert expected != pytest.approx({under_headings(n.node): n.score for n in plain.postprocess_nodes(found, query)})


class Nothing(Qwen3Rerank):
    def node_text(self, node: BaseNode) -> str:
        return None  # type: ignore[return-value]


def test_a_subclass_that_makes_no_text_is_told_which_node(pair: Path) -> None:
    with pytest.raises(ValueError, match=r"the text of node '7' \(index 0\) is NoneType, not a string"):
        Nothing(pair / "reranker", device="cpu").postprocess_nodes(
            [NodeWithScore(node=TextNode(text="tea", id_="7"))], query_str="How?"
        )


def test_the_pipeline_reads_headings_unless_told_otherwise(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"embed_model": str(pair / "embedding"), "rerank_model": str(pair / "reranker"), "device": "cpu"}
    assert type(load_reranker(RagConfig(**models))) is PassageRerank  # type: ignore[arg-type]
    monkeypatch.setenv("QWEN3_RAG_RERANK_CONTEXT", "none")
    assert type(load_reranker(RagConfig(**models))) is Qwen3Rerank  # type: ignore[arg-type]


def test_rows_keep_the_passage_as_stored(pair: Path) -> None:
    write(Path("docs"), {"a.md": MARKDOWN})
    config = RagConfig(
        uri="./kb.db", embed_model=str(pair / "embedding"), rerank_model=str(pair / "reranker"), device="cpu"
    )
    with Session(config) as session:
        session.ingest(["docs"])
        result = session.search("How?", top_n=4)
        alone = {one.text: one.score for one in session.search("How?", top_n=4).reranked or ()}
    assert {one.text for one in result.reranked or ()} == {one.text for one in result.dense}
    assert "## Green [tea](x.md)\nSteep." in alone
