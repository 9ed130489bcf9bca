"""What an ingest writes, keeps, replaces and leaves out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.ingestion.report import IngestReport, Progress
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import HashingEmbedding

from .conftest import OpenStore, held_ids, write

FILES: dict[str, str | bytes] = {
    "a.md": "# A\n\nalpha text\n\n## A2\n\nmore alpha\n",
    "deep/er/b.txt": "beta text",
    "beir/corpus.jsonl": '{"_id": "1", "title": "One", "text": "first"}\n{"_id": "2", "text": "second"}\n',
}


@pytest.fixture
def store(store_of: OpenStore) -> RagVectorStore:
    return store_of()


def run(store: RagVectorStore, embed_model: HashingEmbedding, *paths: str, prune: bool = False) -> IngestReport:
    embed_model.embedded.clear()
    return ingest(paths or ("docs",), store=store, embed_model=embed_model, prune=prune, batch_size=2)


def sources(store: RagVectorStore) -> list[str]:
    rows = store.client.query(store.collection_name, filter="", output_fields=["doc_id"], limit=1000)
    return sorted({row["doc_id"] for row in rows})


def test_three_kinds_of_source(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    report = run(store, embed_model)
    assert (report.documents, report.written, report.skipped) == (4, 5, [])
    assert sources(store) == ["docs/a.md", "docs/beir/corpus.jsonl#1", "docs/beir/corpus.jsonl#2", "docs/deep/er/b.txt"]
    assert "One\nfirst" in embed_model.embedded


def test_unchanged_documents_are_not_embedded_again(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    run(store, embed_model)
    report = run(store, embed_model)
    assert (report.unchanged, report.written, report.kept, embed_model.embedded) == (4, 0, 5, [])


def test_only_changed_passages_are_embedded_and_old_ones_go(
    store: RagVectorStore, embed_model: HashingEmbedding
) -> None:
    write(Path("docs"), FILES)
    run(store, embed_model)
    write(Path("docs"), {"a.md": "# New\n\nnew text\n\n# A\n\nalpha text\n\n## A2\n\nmore ALPHA\n"})
    report = run(store, embed_model)
    assert sorted(embed_model.embedded) == ["# New\n\nnew text", "## A2\n\nmore ALPHA"]
    assert (report.written, report.deleted, report.unchanged, store.count()) == (2, 1, 3, 6)


def test_vanished_sources_go_only_with_prune_and_only_below_the_paths(
    store: RagVectorStore, embed_model: HashingEmbedding
) -> None:
    write(Path("docs"), FILES)
    write(Path("other"), {"c.md": "gamma"})
    run(store, embed_model, "docs", "other")
    os.unlink("docs/a.md")
    os.unlink("other/c.md")
    assert run(store, embed_model).pruned == 0
    assert "docs/a.md" in sources(store)
    assert run(store, embed_model, prune=True).pruned == 1
    assert "docs/a.md" not in sources(store)
    assert "other/c.md" in sources(store)
    write(Path("docs"), {"beir/corpus.jsonl": '{"_id": "2", "text": "second"}\n'})
    assert run(store, embed_model, prune=True).pruned == 1


@pytest.mark.parametrize("name", ["dócs", "日本", 'say "x"', "it's", "a\\b"])
def test_vanished_sources_go_from_a_folder_of_any_name(
    store: RagVectorStore, embed_model: HashingEmbedding, name: str
) -> None:
    write(Path(name), FILES)
    run(store, embed_model, name)
    os.unlink(f"{name}/a.md")
    assert run(store, embed_model, name, prune=True).pruned == 1
    assert f"{name}/a.md" not in sources(store)


def test_prune_keeps_what_could_not_be_read(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    run(store, embed_model)
    Path("docs/a.md").write_bytes(b"# A\n\xff\xfe broken")
    report = run(store, embed_model, prune=True)
    assert [source for source, _ in report.skipped] == ["docs/a.md"]
    assert "docs/a.md" in sources(store)


def test_a_file_that_became_empty_loses_its_passages(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    run(store, embed_model)
    Path("docs/a.md").write_text("")
    report = run(store, embed_model)
    assert report.skipped == [("docs/a.md", "empty")]
    assert "docs/a.md" not in sources(store)


def test_bad_files_are_reported_and_the_rest_is_ingested(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    folder = write(
        Path("docs"),
        {
            **FILES,
            "latin.txt": "café".encode("latin-1"),
            "utf16.md": "text".encode("utf-16-le"),
            "binary.md": b"\x7fELF\0\0\0",
            "empty.txt": "  \n",
            "image.png": b"\x89PNG\r\n",
            ".hidden/x.md": "hidden",
            "bad/corpus.jsonl": b'{"_id": "9", "text": "good"}\nnot json\n{"_id": "9", "text": "again"}\n{"x": 1}\n'
            b'{"_id": "s", "text": "\\ud800"}\n\xff\n',
        },
    )
    (folder / "loop").symlink_to(folder.absolute())
    (folder / "self.md").symlink_to(folder.absolute() / "self.md")
    (folder / os.fsdecode(b"caf\xe9.md")).write_text("otters")
    (folder / os.fsdecode(b"caf\xe9")).mkdir()
    (folder / "gone.md").symlink_to("nowhere.md")
    os.mkfifo(folder / "pipe.txt")
    report = run(store, embed_model)
    reasons = dict(report.skipped)
    assert {name.removeprefix("docs/"): reason.split(":")[0].split(" (")[0] for name, reason in reasons.items()} == {
        "bad/corpus.jsonl:2": "not a line of JSON in UTF-8",
        "bad/corpus.jsonl#9": "second document with this id; the first one is used",
        "bad/corpus.jsonl:4": "not a BEIR document",
        "bad/corpus.jsonl:5": "half of a surrogate pair in its text",
        "bad/corpus.jsonl:6": "not a line of JSON in UTF-8",
        "binary.md": "binary file",
        "caf\\xe9": "its name is not UTF-8; rename it",
        "caf\\xe9.md": "its name is not UTF-8; rename it",
        "empty.txt": "empty",
        "gone.md": "broken link or vanished file",
        "latin.txt": "not UTF-8",
        "loop": "symlink loop",
        "pipe.txt": "not a regular file",
        "self.md": "symlink loop",
        "utf16.md": "binary file",
    }
    assert store.count() == 6
    assert not report.complete


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_reported(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    Path("docs/a.md").chmod(0)
    assert run(store, embed_model).skipped == [("docs/a.md", "permission denied")]


def test_a_file_is_taken_once_by_whatever_path(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    run(store, embed_model, "docs", "docs/a.md", str(Path("docs").absolute()))
    assert len(held_ids(store)) == 5
    assert len(embed_model.embedded) == 5


def test_a_named_file_of_unknown_kind_is_text(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path(), {"NOTES": "no suffix at all"})
    assert run(store, embed_model, "NOTES").written == 1


def test_a_path_that_is_not_there_stops_before_anything_is_written(
    store: RagVectorStore, embed_model: HashingEmbedding
) -> None:
    write(Path("docs"), FILES)
    with pytest.raises(ConfigError, match="'nope'"):
        run(store, embed_model, "docs", "nope")
    assert store.count() == 0


def test_texts_at_the_byte_limit_are_stored(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(
        Path("docs"),
        {
            "huge.md": "# 大\n\n```\n" + "数" * 60_000 + "\n```\n",
            "word.txt": "x" * 100_000,
            "title.md": "# " + "very long heading " * 5_000 + "\n\ntext\n",
            "corpus.jsonl": json.dumps({"_id": "1", "title": "題" * 50_000, "text": "text"}),
        },
    )
    report = run(store, embed_model)
    assert report.complete
    assert store.count() == report.written > 3


def test_progress_reaches_the_end(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), FILES)
    seen: list[Progress] = []
    ingest(["docs"], store=store, embed_model=embed_model, on_progress=seen.append)
    assert seen[-1].done_bytes == seen[-1].total_bytes == sum(len(content) for content in FILES.values())
    assert [state.done_bytes for state in seen] == sorted(state.done_bytes for state in seen)
    assert seen[-1].passages == 5


def test_progress_shows_within_a_large_file(store: RagVectorStore, embed_model: HashingEmbedding) -> None:
    write(Path("docs"), {"large.md": "".join(f"## Part {i}\n\nText {i}.\n\n" for i in range(300))})
    seen: list[Progress] = []
    ingest(["docs"], store=store, embed_model=embed_model, batch_size=20, on_progress=seen.append)
    counts = [state.passages for state in seen if state.source == "docs/large.md"]
    assert set(range(20, 300, 20)) <= set(counts)
