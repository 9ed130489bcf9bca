"""What documents are called, whose they are, and that nothing of another folder or program is ever touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from llama_index.core import Document
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pipeline import ingest, ingest_documents
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.models import Models
from qwen3_rag.query.results import read_passages
from qwen3_rag.session import Session
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import IDENTITY, HashingEmbedding

from .conftest import OpenStore, write

TWO = {"guide.md": "# Guide\n\nalpha", "extra.md": "# Extra\n\nbeta"}


@pytest.fixture
def store(store_of: OpenStore) -> RagVectorStore:
    return store_of()


def run(store: RagVectorStore, *paths: str | Path, prune: bool = False, name: str | None = None) -> IngestReport:
    return ingest(paths, store=store, embed_model=HashingEmbedding(), prune=prune, name=name)


def held(store: RagVectorStore) -> dict[str, str]:
    """Root by source."""
    fields = ["doc_id", "root"]
    rows = store.client.query(store.collection_name, filter="", output_fields=fields, limit=1000)
    return {row["doc_id"]: row.get("root") for row in rows}


def test_one_folder_is_one_set_from_wherever_it_is_ingested(
    store: RagVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write(Path("project").absolute(), {f"docs/{name}": text for name, text in TWO.items()})
    run(store, "project/docs")
    for folder, path in [(project, "docs"), (project / "docs", "."), (project.parent, project / "docs")]:
        monkeypatch.chdir(folder)
        report = run(store, path, prune=True)
        assert (report.written, report.updated, report.deleted, report.unchanged) == (0, 0, 0, 2)
    assert held(store) == dict.fromkeys(["docs/guide.md", "docs/extra.md"], str(project / "docs"))


def test_another_folder_of_the_same_name_is_refused_until_it_has_one_of_its_own(store: RagVectorStore) -> None:
    write(Path("alpha/docs"), TWO)
    write(Path("beta/docs"), {"guide.md": "# Guide\n\ngamma"})
    run(store, "alpha/docs")
    with pytest.raises(ConfigError, match=r"has a folder 'docs' already, from .*alpha/docs.*--name NAME"):
        run(store, "beta/docs", prune=True)
    assert set(held(store)) == {"docs/guide.md", "docs/extra.md"}
    run(store, "beta/docs", prune=True, name="beta")
    run(store, "beta/docs", prune=True)
    assert set(held(store)) == {"docs/guide.md", "docs/extra.md", "beta/guide.md"}


def test_a_folder_that_moved_is_taken_at_its_name_and_embeds_nothing(store: RagVectorStore) -> None:
    write(Path("old/docs"), TWO)
    run(store, "old/docs")
    shutil.move("old", "new")
    with pytest.raises(ConfigError, match="say --name docs if the folder has moved"):
        run(store, "new/docs")
    report = run(store, "new/docs", name="docs", prune=True)
    assert (report.written, report.updated, report.deleted) == (0, 2, 0)
    assert held(store) == dict.fromkeys(["docs/guide.md", "docs/extra.md"], os.path.abspath("new/docs"))
    assert run(store, "new/docs").unchanged == 2


def test_what_lies_below_a_known_root_belongs_to_it(store: RagVectorStore) -> None:
    write(Path("docs"), {"a.md": "one", "deep/b.md": "two", "deep/c.md": "three"})
    run(store, "docs")
    write(Path("docs"), {"deep/b.md": "two changed"})
    Path("docs/deep/c.md").unlink()
    report = run(store, "docs/deep", prune=True)
    assert (report.written, report.pruned) == (1, 1)
    run(store, "docs/a.md")
    assert set(held(store)) == {"docs/a.md", "docs/deep/b.md"}


def test_a_root_below_another_keeps_its_files(store: RagVectorStore) -> None:
    write(Path("all/part"), {"p.md": "inner"})
    write(Path("all"), {"q.md": "outer"})
    run(store, "all/part")
    for _ in range(2):
        run(store, "all", prune=True)
        assert set(held(store)) == {"part/p.md", "all/q.md"}
    run(store, "all/part", name="own", prune=True)
    assert {"own/p.md", "all/q.md"} <= set(held(store))


def test_a_files_root_is_its_folder(store: RagVectorStore) -> None:
    write(Path("notes"), {"a.md": "one", "b.md": "two"})
    run(store, "notes/a.md")
    assert set(held(store)) == {"notes/a.md"}
    run(store, "notes", prune=True)
    assert set(held(store)) == {"notes/a.md", "notes/b.md"}


def test_prune_leaves_what_no_file_ingest_of_the_root_wrote(store: RagVectorStore) -> None:
    model = HashingEmbedding()
    own = [Document(text="on fire", id_="ticket-1"), Document(text="no ink", id_="docs/ticket-2")]
    ingest_documents(own, store=store, embed_model=model)
    write(Path("docs"), TWO)
    run(store, "docs", prune=True)
    Path("docs/extra.md").unlink()
    assert run(store, "docs", prune=True).pruned == 1
    assert set(held(store)) == {"ticket-1", "docs/ticket-2", "docs/guide.md"}


def test_a_root_that_is_renamed_leaves_its_old_name_behind_with_prune(store: RagVectorStore) -> None:
    write(Path("docs"), TWO)
    run(store, "docs")
    run(store, "docs", name="manual", prune=True)
    assert set(held(store)) == {"manual/guide.md", "manual/extra.md"}
    assert run(store, "docs", prune=True).unchanged == 2


@pytest.mark.parametrize("name", ["", " ", "a/", "/a", "../a", "a\nb"])
def test_a_name_that_cannot_begin_a_source_is_refused(store: RagVectorStore, name: str) -> None:
    write(Path("docs"), TWO)
    with pytest.raises(ConfigError, match="must be a name such as docs"):
        run(store, "docs", name=name)


def test_a_name_is_for_one_folder(store: RagVectorStore) -> None:
    write(Path("docs"), TWO)
    write(Path("more"), TWO)
    with pytest.raises(ConfigError, match="names one folder, and 2 paths are given"):
        run(store, "docs", "more", name="x")


def test_a_paragraph_on_top_embeds_one_passage_and_renumbers_the_rest(store: RagVectorStore) -> None:
    body = "".join(f"## Section {i}\n\nText number {i}.\n\n" for i in range(1000))
    write(Path("docs"), {"long.md": body})
    run(store, "docs")
    write(Path("docs"), {"long.md": "A new paragraph.\n\n" + body})
    model = HashingEmbedding()
    report = ingest(["docs"], store=store, embed_model=model)
    assert model.embedded == ["A new paragraph."]
    assert (report.written, report.updated, report.deleted, store.count()) == (1, 1000, 0, 1001)
    rows = store.client.query(
        store.collection_name, filter="position in [0, 1, 1000]", output_fields=["text", "position"]
    )
    texts = {row["position"]: row["text"] for row in rows}
    assert texts == {
        0: "A new paragraph.",
        1: "## Section 0\n\nText number 0.",
        1000: "## Section 999\n\nText number 999.",
    }


@pytest.mark.parametrize("name", ["Übung", "日本", "a\"b'c", "back\\slash", "line\nend", "\x1b[2J", "tab\t\x0b"])
def test_folders_and_files_of_any_name_are_read_pruned_and_shown(name: str, store_of: OpenStore) -> None:
    store, folder = store_of(), Path(name)
    write(folder, {f"{name}.md": "# One", "two.md": "# Two"})
    source = f"{name}/{name}.md"
    assert ingest([folder], store=store, embed_model=HashingEmbedding()).written == 2
    assert read_passages(store, source).total == 1
    session = Session(RagConfig(), store, Models(HashingEmbedding(), IDENTITY, None))
    assert [row.source for row in session.search("One", filters={"source": source}).dense] == [source]
    with pytest.raises(ConfigError, match="no document"):
        read_passages(store, name + "x")
    (folder / "two.md").unlink()
    assert ingest([folder], store=store, embed_model=HashingEmbedding(), prune=True).pruned == 1
    assert list(store.count_sources()) == [source]
