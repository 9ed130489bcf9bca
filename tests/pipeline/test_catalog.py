"""The record of documents: exact, made again where it is lost, and never trusted over the rows themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymilvus import MilvusClient
from qwen3_rag.config import RagConfig
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.store.catalog import SUFFIX, Catalog, Entry, find_catalog, open_catalog
from qwen3_rag.store.client import MAX_BYTES, MAX_ROWS, batches
from qwen3_rag.store.opening import drop_collection
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import examples

from .conftest import OpenStore, held_ids, write


@pytest.fixture
def store(store_of: OpenStore) -> RagVectorStore:
    return store_of()


@pytest.fixture
def catalog(store: RagVectorStore) -> Catalog:
    return store.open_catalog()


def test_what_was_put_is_got_and_removed(catalog: Catalog) -> None:
    entries = [
        Entry("docs/a.md", "/x", ("1", "2")),
        Entry('we"ird \\ ☃#7', "", ()),
        Entry("long", "/x", tuple(f"{i:032x}" for i in range(5_000))),
    ]
    catalog.put(entries)
    assert catalog.get([entry.source for entry in entries] + ["nothing"]) == {one.source: one for one in entries}
    assert dict(catalog.counts()) == {"docs/a.md": 2, 'we"ird \\ ☃#7': 0, "long": 5_000}
    assert sorted(catalog.below("/x")) == ["docs/a.md", "long"]
    shorter = Entry("long", "/y", ("1",))
    catalog.put([shorter])
    assert catalog.get(["long"]) == {"long": shorter}
    catalog.remove(entries)
    assert catalog.get(["docs/a.md", "long"]) == {}


def test_documents_are_counted_to_another_root(catalog: Catalog) -> None:
    catalog.put([Entry(f"docs/{number}.md", "/old", (str(number),)) for number in range(3)])
    catalog.put([Entry("other.md", "/other", ("9",))])
    catalog.move("/old", "/new")
    assert sorted(catalog.below("/new")) == ["docs/0.md", "docs/1.md", "docs/2.md"]
    assert (list(catalog.below("/old")), list(catalog.below("/other"))) == ([], ["other.md"])
    assert catalog.get(["docs/1.md"])["docs/1.md"] == Entry("docs/1.md", "/new", ("1",))


def test_more_keys_than_one_call_takes_are_asked_for_in_several(
    catalog: Catalog, store: RagVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    get = type(store.client).get

    def counting(client: object, name: str, ids: list[str], **kwargs: object) -> object:
        asked.append(len(ids))
        return get(client, name, ids, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store.client), "get", counting)
    assert catalog.get([f"{number}.md" for number in range(2_500)]) == {}
    assert asked == [1_000, 1_000, 500]


def test_a_lost_catalog_is_made_again_from_the_rows(store: RagVectorStore) -> None:
    write(Path("docs"), {"a.md": "# A\n\none\n\n## B\n\ntwo\n", "b.txt": "three"})
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    before = store.open_catalog().get(["docs/a.md", "docs/b.txt"])
    store.client.drop_collection(store.collection_name + SUFFIX)
    model = HashingEmbedding()
    report = ingest(["docs"], store=store, embed_model=model, prune=True)
    assert (report.unchanged, model.embedded) == (2, [])
    assert store.open_catalog().get(["docs/a.md", "docs/b.txt"]) == before


def test_roots_are_made_again_with_their_names(store: RagVectorStore) -> None:
    write(Path("docs"), {"a.md": "one", "deep/b.md": "two"})
    ingest(["docs/deep"], store=store, embed_model=HashingEmbedding(), name="own/name")
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    before = store.open_catalog().all_roots()
    store.client.drop_collection(store.collection_name + SUFFIX)
    made = store.open_catalog().all_roots()
    assert sorted(made, key=lambda root: root.path) == sorted(before, key=lambda root: root.path)


def test_a_catalog_that_was_not_finished_is_made_again(store: RagVectorStore) -> None:
    write(Path("docs"), {"a.md": "one"})
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    name = store.collection_name + SUFFIX
    state = store.client.query(name, filter='kind == "state"', output_fields=["id"])[0]["id"]
    store.client.delete(name, ids=[state])
    assert find_catalog(store.client, store.collection_name, store.uid) is None
    assert list(dict(store.open_catalog().counts())) == ["docs/a.md"]


def test_the_catalog_of_a_collection_that_was_made_anew_is_not_taken(store: RagVectorStore) -> None:
    store.open_catalog().put([Entry("ghost", "", ("1",))])
    assert find_catalog(store.client, store.collection_name, "another") is None
    assert dict(open_catalog(store.client, store.collection_name, "another").counts()) == {}


def test_rows_that_somebody_deleted_are_written_again(store: RagVectorStore) -> None:
    write(Path("docs"), {"a.md": "one", "b.md": "two"})
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    before = held_ids(store)
    store.delete("docs/a.md")
    assert len(held_ids(store)) == 1
    report = ingest(["docs"], store=store, embed_model=HashingEmbedding())
    assert (report.written, held_ids(store)) == (1, before)


def test_dropping_a_collection_drops_its_catalog(store: RagVectorStore, config: RagConfig) -> None:
    store.open_catalog()
    store.client.close()
    assert drop_collection(config)
    client = MilvusClient(uri=config.uri)
    assert not [name for name in client.list_collections() if name.startswith(config.collection)]
    client.close()


def test_an_ingest_of_one_file_reads_no_other_rows(store: RagVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("docs"), {f"{i}.md": f"text {i}" for i in range(30)})
    ingest(["docs"], store=store, embed_model=HashingEmbedding())
    write(Path("docs"), {"7.md": "text seven"})
    asked: list[int] = []
    get = type(store.client).get

    def counting(client: object, name: str, ids: list[str], **kwargs: object) -> object:
        asked.append(len(ids))
        return get(client, name, ids, **kwargs)  # type: ignore[arg-type]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this looks at every row")

    monkeypatch.setattr(type(store.client), "get", counting)
    monkeypatch.setattr(type(store.client), "query", refuse)
    monkeypatch.setattr(type(store.client), "query_iterator", refuse)
    report = ingest(["docs/7.md"], store=store, embed_model=HashingEmbedding())
    assert (report.written, report.deleted) == (1, 1)
    assert sum(asked) < 40


@settings(max_examples=examples(50))
@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3 << 20)), max_size=40))
def test_batches_hold_every_row_once_and_stay_small(rows: list[tuple[str, int]]) -> None:
    made = [{"id": one, "text": "x" * size} for one, size in rows]
    found = list(batches(made))
    assert [row for batch in found for row in batch] == list({row["id"]: row for row in made}.values())
    for batch in found:
        assert len(batch) <= MAX_ROWS
        assert len(batch) == 1 or sum(len(json.dumps(row)) for row in batch) <= MAX_BYTES + 100 * len(batch)


def test_a_collection_says_its_model_from_its_creation_on(store: RagVectorStore) -> None:
    described = store.client.describe_collection(store.collection_name)
    found = {**json.loads(described["description"] or "{}"), **described["properties"]}
    assert json.loads(found["qwen3_rag.embedding"])["name"] == IDENTITY.name
    assert found["qwen3_rag.uid"] == store.uid != ""
