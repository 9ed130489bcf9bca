"""Reading on in a document, and taking documents out by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from qwen3_rag.config import RagConfig
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.readers import make_document
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pipeline import ingest, ingest_documents
from qwen3_rag.ingestion.removal import remove_documents
from qwen3_rag.query.results import read_passages
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import HashingEmbedding

from .conftest import OpenStore, held_ids, write

SECTIONS = [f"## Part {number}\n\nText of part {number}.\n" for number in range(12)]


@pytest.fixture
def store(store_of: OpenStore) -> RagVectorStore:
    store = store_of()
    write(
        Path("docs"),
        {"long.md": "---\ntitle: Guide\n---\n# Top\n\nHead.\n\n" + "\n".join(SECTIONS), "日本.md": "# 東京\n\nx"},
    )
    write(Path("docs"), {"old/a.md": "a", "old/b.md": "b", "old.md": "c"})
    write(Path("docs"), {"corpus.jsonl": '{"_id": "1", "text": "first"}\n{"_id": "2", "text": "second"}\n'})
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    return store


def test_a_document_is_read_in_its_order_and_in_parts(store: RagVectorStore) -> None:
    found = read_passages(store, "docs/long.md")
    assert found.total == len(found.passages) == 13
    assert [one.position for one in found.passages] == list(range(13))
    assert [one.text for one in found.passages[1:]] == [section.strip() for section in SECTIONS]
    assert {one.title for one in found.passages} == {"Guide"}
    assert found.passages[3].header_path == "Top > Part 2"
    part = read_passages(store, "docs/long.md", 10, 2)
    assert (part.total, part.passages) == (13, found.passages[10:12])
    assert read_passages(store, "docs/long.md", 13, 5).passages == []
    (only,) = read_passages(store, "docs/日本.md").passages
    assert (only.title, only.header_path) == ("東京", "東京")


def test_the_order_is_kept_when_a_passage_comes_in_front(store: RagVectorStore) -> None:
    write(Path("docs"), {"long.md": "# Top\n\n" + "\n".join(["## New\n\nFirst.\n", *SECTIONS])})
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    found = read_passages(store, "docs/long.md").passages
    assert [one.header_path for one in found][:3] == ["Top > New", "Top > Part 0", "Top > Part 1"]
    assert {one.title for one in found} == {"Top"}


def test_documents_of_other_programs_are_shown_and_removed(store: RagVectorStore, config: RagConfig) -> None:
    nodes = PassageParser().get_nodes_from_documents(
        [make_document("# A\n\nx\n\n# B\n\ny", 'else"where\\.md', "markdown")]
    )
    for node in nodes:
        node.embedding = HashingEmbedding().get_text_embedding(node.get_content())
    store.add(nodes[::-1])
    assert [one.text for one in read_passages(store, 'else"where\\.md').passages] == ["# A\n\nx", "# B\n\ny"]
    assert remove_documents(store, ['else"where\\.md']).deleted == 2


@pytest.mark.parametrize(
    ("source", "said"),
    [("long.md", "'docs/long.md'"), ("docs/lnog.md", "'docs/long.md'"), ("docs/old", "'docs/old/a.md'")],
)
def test_a_wrong_name_is_told_the_right_one(store: RagVectorStore, source: str, said: str) -> None:
    with pytest.raises(ConfigError, match="no document") as caught:
        read_passages(store, source)
    assert said in str(caught.value)


def test_documents_are_removed_by_name_and_by_folder(store: RagVectorStore) -> None:
    before = held_ids(store)
    with pytest.raises(ConfigError, match="nothing was removed"):
        remove_documents(store, ["docs/old.md", "docs/none"])
    assert held_ids(store) == before
    assert (report := remove_documents(store, ["docs/old/"])).pruned == 2
    assert report.deleted == 2
    assert remove_documents(store, ["docs/corpus.jsonl", "docs/old.md"]).pruned == 3
    assert sorted(store.count_sources()) == ["docs/long.md", "docs/日本.md"]
    assert len(held_ids(store)) == 14
    report = ingest(["docs"], store=store, embed_model=HashingEmbedding())
    assert (report.written, held_ids(store)) == (5, before)


def test_other_readers_metadata_is_shown_as_it_can_be(store: RagVectorStore) -> None:
    document = make_document("Text.", "book", "text", page="iv", title=7)
    ingest_documents([document], store=store, embed_model=HashingEmbedding())
    (only,) = read_passages(store, "book").passages
    assert (only.page, only.title) == ("iv", "7")
