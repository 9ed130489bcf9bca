"""Which files of a folder go in: patterns, `.gitignore` as git itself reads it, databases, and what is passed over."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qwen3_rag.documents.selection import Selection
from qwen3_rag.documents.sources import Tally
from qwen3_rag.documents.walk import find_files
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pipeline import IngestOptions, ingest
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import HashingEmbedding
from support.seeds import examples

from .conftest import OpenStore, write

TEXT = "Some text.\n"


def found(*paths: str | Path, tally: Tally | None = None, selection: Selection | None = None) -> list[str]:
    def name(path: Path) -> str:
        return Path(os.path.relpath(path)).as_posix()

    def skip(source: str, reason: str) -> None:
        raise AssertionError(f"{source}: {reason}")

    return [file.source for file in find_files(paths, skip, name=name, selection=selection, tally=tally)]


def tree(*names: str) -> None:
    write(Path("docs"), dict.fromkeys(names, TEXT))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), ["a.md", "b.txt", "deep/a.md", "deep/er/c.md", "drafts/d.md"]),
        (("*.md",), (), ["a.md", "deep/a.md", "deep/er/c.md", "drafts/d.md"]),
        (("deep/",), (), ["deep/a.md", "deep/er/c.md"]),
        (("/a.md", "b*"), (), ["a.md", "b.txt"]),
        ((), ("drafts/", "er"), ["a.md", "b.txt", "deep/a.md"]),
        ((), ("./deep/*.md",), ["a.md", "b.txt", "deep/er/c.md", "drafts/d.md"]),
        (("*.md",), ("**/a.md",), ["deep/er/c.md", "drafts/d.md"]),
        ((), ("*.md", "!a.md"), ["a.md", "b.txt", "deep/a.md"]),
    ],
)
def test_patterns_choose_below_each_path(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    tree("a.md", "b.txt", "deep/a.md", "deep/er/c.md", "drafts/d.md")
    chosen = Selection(include, exclude)
    assert found("docs", selection=chosen) == [f"docs/{name}" for name in expected]
    everything = [path for path in Path("docs").rglob("*") if path.is_file()]
    taken = {path.as_posix() for path in everything if chosen.takes(path.relative_to("docs").as_posix())}
    assert taken == {f"docs/{name}" for name in expected}, "a path is judged as the walk judges it"


def test_patterns_hold_for_files_that_are_named_themselves() -> None:
    tree("a.md", "b.txt")
    tally = Tally()
    assert found("docs/a.md", "docs/b.txt", selection=Selection(exclude=["b.*"]), tally=tally) == ["docs/a.md"]
    assert tally.left_out == 1


@pytest.mark.parametrize("pattern", ["", " ", "!", "# a", "\\"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    for wrong in ({"include": [pattern]}, {"exclude": [pattern]}):
        with pytest.raises(ConfigError, match=r"--(in|ex)clude"):
            Selection(**wrong)


def test_gitignore_files_hold_from_where_they_are() -> None:
    write(
        Path("."),
        {"docs/.gitignore": "node_modules\nbuild/\n*.log.md\n", "docs/sub/.gitignore": "!keep.log.md\n/x.md\n"},
    )
    tree("a.md", "a.log.md", "build/b.md", "sub/keep.log.md", "sub/x.md", "sub/y/x.md", "node_modules/p/README.md")
    tally = Tally()
    assert found("docs", tally=tally) == ["docs/a.md", "docs/sub/keep.log.md", "docs/sub/y/x.md"]
    assert tally.left_out == 4
    assert len(found("docs", selection=Selection(gitignore=False))) == 7


def test_gitignore_files_above_hold_up_to_the_repository() -> None:
    write(Path("."), {".gitignore": "*.txt\n", "repo/.git/HEAD": "ref", "repo/.gitignore": "drafts/\n/docs/gone.md\n"})
    write(Path("repo/docs"), {"a.md": TEXT, "a.txt": TEXT, "gone.md": TEXT, "drafts/b.md": TEXT})
    assert found("repo/docs") == ["repo/docs/a.md", "repo/docs/a.txt"]
    assert found("repo/docs/drafts") == ["repo/docs/drafts/b.md"], "an ignored folder that is named is meant"
    assert found("repo/docs/gone.md") == ["repo/docs/gone.md"]


def test_a_gitignore_that_cannot_be_used_has_no_effect() -> None:
    write(Path("docs"), {"a.md": TEXT, "sub/b.md": TEXT, "folder/.gitignore/c.md": TEXT, "folder/d.md": TEXT})
    write(Path("docs"), {".gitignore": b"!\n\\\n\xff\n\r\n", "elsewhere": "*\n"})
    Path("docs/sub/.gitignore").symlink_to("../elsewhere")
    assert found("docs") == ["docs/a.md", "docs/folder/d.md", "docs/sub/b.md"]


@pytest.mark.parametrize("rule", ["*a" * 12 + "b", "*" * 40 + "b", "a?*" * 12 + "b", "a/**/" * 12 + "b"])
def test_no_rule_takes_time_without_end(rule: str) -> None:
    deep = Path("docs", *["a"] * 40)
    write(deep, {"a" * 200 + ".md": TEXT})
    write(Path("docs"), {".gitignore": f"{rule}\n{'a*' * 12}z.md\n", "a" * 12 + "z.md": TEXT})
    started = time.monotonic()
    assert len(found("docs")) == 1
    assert time.monotonic() - started < 5


PART = st.sampled_from(
    ["a", "b", "c.md", "d.md", "*", "**", "?", "*.md", "[ab]", "a*", "*a*b*c.md", "*?*.*d", "b*a**b*"]
)
LINE = st.builds(
    lambda mark, slash, parts, end: mark + slash + "/".join(parts) + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(PART, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
FILES = [
    f"{folder}{name}" for folder in ("", "a/", "b/", "a/b/", "b/a/", "bxaab/") for name in ("c.md", "d.md", "aabbc.md")
]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@settings(max_examples=examples(60))
@given(st.dictionaries(st.sampled_from(["", "a/", "b/", "a/b/"]), st.lists(LINE, max_size=4), min_size=1))
def test_gitignore_means_what_it_means_to_git(rules: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), dict.fromkeys(FILES, TEXT))
        write(Path(folder), {f"{where}.gitignore": "\n".join(lines) + "\n" for where, lines in rules.items()})
        git = ["git", "-c", "core.excludesFile=/dev/null", "-C", folder]
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
        listed = subprocess.run(
            [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
        )
        walked = find_files([folder], lambda *_: None, name=lambda path: os.path.relpath(path, folder))
        assert sorted(file.source for file in walked) == sorted(
            name for name in listed.stdout.splitlines() if name.endswith(".md")
        )


def test_what_nothing_reads_is_counted_by_suffix() -> None:
    tree("a.md", "one.png", "two.PNG", "deep/three.png", "x.zip", "Makefile", "other.jsonl", ".hidden.png", "no/n.png")
    tally = Tally()
    assert found("docs", tally=tally, selection=Selection(exclude=["no/"])) == ["docs/a.md"]
    assert tally.passed_over == {".png": 3, ".zip": 1, "": 1, ".jsonl": 1}


@pytest.fixture
def store(store_of: OpenStore) -> RagVectorStore:
    return store_of()


def run(store: RagVectorStore, path: str = "docs", **options: object) -> IngestReport:
    chosen: IngestOptions = options  # type: ignore[assignment]
    return ingest([path], store=store, embed_model=HashingEmbedding(), **chosen)


def sources(store: RagVectorStore) -> list[str]:
    return sorted(store.count_sources())


def test_databases_are_no_documents(store_of: OpenStore, lite: str) -> None:
    store = store_of()
    tree("a.md", "kb.db/notes.md", "deep/kb.db/notes.txt")
    assert (run(store).documents, sources(store)) == (1, ["docs/a.md"])
    assert run(store, "docs/kb.db").skipped == [("docs/kb.db", "a Milvus Lite database, not documents")]


def test_prune_leaves_alone_what_this_run_does_not_speak_of(store: RagVectorStore) -> None:
    tree("a.md", "b.txt", "drafts/c.md", "drafts/d.md")
    write(Path("docs"), {"beir/corpus.jsonl": '{"_id": "1", "text": "first"}\n{"_id": "2", "text": "second"}\n'})
    run(store)
    for gone in ("docs/b.txt", "docs/drafts/d.md"):
        os.remove(gone)
    write(Path("docs"), {"beir/corpus.jsonl": '{"_id": "1", "text": "first"}\n'})
    assert run(store, prune=True, include=["*.md"], exclude=["drafts/"]).pruned == 0
    assert len(sources(store)) == 6
    assert run(store, prune=True, include=["*.jsonl", "*.txt"]).pruned == 2
    assert sources(store) == ["docs/a.md", "docs/beir/corpus.jsonl#1", "docs/drafts/c.md", "docs/drafts/d.md"]
    assert run(store, prune=True).pruned == 1


def test_prune_removes_what_gitignore_leaves_out(store: RagVectorStore) -> None:
    tree("a.md", "build/b.md")
    run(store)
    write(Path("docs"), {".gitignore": "build\n"})
    assert run(store).pruned == 0
    assert (run(store, prune=True).pruned, sources(store)) == (1, ["docs/a.md"])
    assert (run(store, gitignore=False).documents, run(store, prune=True, gitignore=False).pruned) == (2, 0)


def test_prune_keeps_a_file_of_unknown_format_that_was_named(store: RagVectorStore) -> None:
    tree("a.md", "manual.adoc")
    run(store)
    run(store, "docs/manual.adoc")
    assert run(store, prune=True).pruned == 0
    os.remove("docs/manual.adoc")
    assert run(store, prune=True).pruned == 1


def test_prune_reaches_the_roots_below(store: RagVectorStore) -> None:
    tree("a.md", "own/b.md", "own/c.md")
    run(store, "docs/own", name="own")
    run(store)
    assert sources(store) == ["docs/a.md", "own/b.md", "own/c.md"]
    os.remove("docs/own/b.md")
    assert run(store, prune=True, exclude=["own/"]).pruned == 0
    assert (run(store, prune=True).pruned, sources(store)) == (1, ["docs/a.md", "own/c.md"])


def test_metadata_is_given_and_taken_without_embedding_again(store: RagVectorStore) -> None:
    tree("a.md")
    run(store)
    report = run(store, metadata={"team": "search", "year": 2024})
    assert (report.written, report.updated) == (0, 1)
    rows = store.client.query(store.collection_name, filter="year >= 2024 and team == 'search'", output_fields=["id"])
    assert len(rows) == 1
    assert run(store).updated == 1
    assert not store.client.query(store.collection_name, filter="year >= 2024", output_fields=["id"])
    for wrong in ({"source": "x"}, {"größe": 1}, {"_node_content": "x"}):
        with pytest.raises(ConfigError, match="--meta"):
            run(store, metadata=wrong)


def test_files_know_when_they_were_modified(store: RagVectorStore) -> None:
    tree("a.md")
    os.utime("docs/a.md", (1_700_000_000, 1_700_000_000))
    run(store)
    rows = store.client.query(store.collection_name, filter="modified >= '2023-11-14'", output_fields=["modified"])
    assert [row["modified"] for row in rows] == ["2023-11-14T22:13:20+00:00"]
    os.utime("docs/a.md", (1_800_000_000, 1_800_000_000))
    assert (report := run(store)).written == 0
    assert report.updated == 1
