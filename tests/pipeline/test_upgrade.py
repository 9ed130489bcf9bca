"""A database of version 0.1, and collections that other programs filled, go on without embedding anything again."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.vector_stores.milvus import MilvusVectorStore
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.ingestion.pipeline import ingest, ingest_documents
from qwen3_rag.store.connect import release_lite
from qwen3_rag.store.opening import open_store
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import HashingEmbedding

OLD = Path(__file__).parents[1] / "data" / "database-0.1.zip"
"""`kb.db` and the folder `docs` from which 0.1 filled it, and one document of another reader, `ticket-1`."""
MODEL = ModelIdentity("hashing", "sha256:0123456789abcdef", 32)
FILES = {"docs/tea.md": 2, "docs/apples.txt": 1, "docs/corpus.jsonl#d1": 1, "docs/corpus.jsonl#d2": 1}


@pytest.fixture
def old() -> Iterator[RagVectorStore]:
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall()
    store = open_store(RagConfig(uri="./kb.db"), MODEL)
    yield store
    store.close()
    release_lite("./kb.db")


def test_an_old_collection_is_read_as_it_is(old: RagVectorStore) -> None:
    assert old.count_sources() == {**FILES, "ticket-1": 1}
    assert old.count_sources("docs/c") == {"docs/corpus.jsonl#d1": 1, "docs/corpus.jsonl#d2": 1}


@pytest.mark.parametrize("place", [".", "docs", ".."])
def test_the_first_ingest_moves_files_over_without_embedding(
    old: RagVectorStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = Path("docs").absolute()
    monkeypatch.chdir(place)
    model = HashingEmbedding(32)
    report = ingest([docs], store=old, embed_model=model, prune=True)
    assert model.embedded == []
    assert (report.documents, report.written, report.kept, report.deleted) == (4, 0, 5, 5)
    assert old.count_sources() == {**FILES, "ticket-1": 1}
    again = ingest([docs], store=old, embed_model=model, prune=True)
    assert (again.unchanged, again.written, again.deleted) == (4, 0, 0)
    rows = old.client.query("docs", filter='root != ""', output_fields=["doc_id", "position"], limit=100)
    assert sorted((row["doc_id"], row["position"]) for row in rows) == [
        *((source, 0) for source in sorted(FILES)),
        ("docs/tea.md", 1),
    ]


def test_a_changed_file_of_an_old_collection_embeds_what_changed(old: RagVectorStore) -> None:
    text = Path("docs/tea.md").read_text()
    Path("docs/tea.md").write_text(text.replace("100 degrees", "95 degrees"))
    model = HashingEmbedding(32)
    ingest(["docs/tea.md"], store=old, embed_model=model)
    assert model.embedded == ["## Black\n\nSteep at 95 degrees."]
    assert old.count_sources() == {**FILES, "ticket-1": 1}


def test_another_projects_files_of_the_same_name_stay(old: RagVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("elsewhere/docs")
    other.mkdir(parents=True)
    (other / "tea.md").write_text("# Tea\n\nIced.\n")
    monkeypatch.chdir("elsewhere/docs")
    ingest(["tea.md"], store=old, embed_model=HashingEmbedding(32), name="other")
    assert old.count_sources() == {**FILES, "ticket-1": 1, "other/tea.md": 1}


def test_old_library_documents_keep_their_vectors(old: RagVectorStore) -> None:
    model = HashingEmbedding(32)
    ticket = Document(text="The printer is on fire.", id_="ticket-1", metadata={"team": "ops"})
    ingest_documents([ticket], store=old, embed_model=model)
    assert model.embedded == []
    assert old.count_sources("ticket") == {"ticket-1": 1}


def foreign(uri: str, model: HashingEmbedding) -> None:
    """A collection as LlamaIndex's own store fills it."""
    store = MilvusVectorStore(uri=uri, dim=64, collection_name="docs", similarity_metric="IP", use_async_client=False)
    documents = [Document(text=f"passage {i} about tea", id_=f"d{i}", metadata={"n": i}) for i in range(7)]
    context = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=model)
    store.client.close()


def test_a_collection_that_does_not_say_its_model_is_adopted(lite: str) -> None:
    model = HashingEmbedding()
    foreign(lite, model)
    config, identity = RagConfig(uri=lite), ModelIdentity("hashing", "1", 64, embed=model.get_text_embedding_batch)
    with pytest.raises(ConfigError, match=r"does not say which model embedded it.*ingest PATH --adopt"):
        open_store(config, identity)
    open_store(config, identity, adopt=True).close()
    store = open_store(config, identity)
    assert store.count_sources() == {f"d{i}": 1 for i in range(7)}
    with pytest.raises(ConfigError, match="was embedded with hashing"):
        open_store(config, ModelIdentity("other", "1", 64))
    store.close()


def test_a_collection_of_another_model_is_not_adopted(lite: str) -> None:
    foreign(lite, HashingEmbedding())
    config = RagConfig(uri=lite)
    with pytest.raises(ConfigError, match=r"holds vectors of 64 dimensions, hashing .* has 32"):
        open_store(config, ModelIdentity("hashing", "1", 32), adopt=True)

    def another(texts: list[str]) -> list[list[float]]:
        return [vector[::-1] for vector in HashingEmbedding().get_text_embedding_batch(texts)]

    with pytest.raises(ConfigError, match=r"its vectors are not those of other .*cosine"):
        open_store(config, ModelIdentity("other", "1", 64, embed=another), adopt=True)
    with pytest.raises(ConfigError, match="does not say which model"):
        open_store(config, ModelIdentity("other", "1", 64))
