"""An ingest in steps, on an engine that needs no cluster: equal to `ingest`, and killed anywhere it goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymilvus.client.grpc_handler import GrpcHandler
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.ingestion.report import IngestReport, Progress
from qwen3_rag.scale.cutting import Columns, CutRows
from qwen3_rag.scale.embedding import EmbedShard
from qwen3_rag.scale.files import ingest_files
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.job import Job
from qwen3_rag.scale.manifest import load_manifest
from qwen3_rag.scale.plan import Stage, in_process
from qwen3_rag.scale.settings import Embedder, Settings
from qwen3_rag.scale.shards import content_hash, documents_of, to_table
from qwen3_rag.store.catalog import Root, open_catalog
from qwen3_rag.store.opening import open_store
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import drawn

from .conftest import write
from .test_crash import Faults, Killed

DOCS: dict[str, str | bytes] = {
    **{f"{n}.md": "".join(f"# H{part}\n\ntext {n} {part}\n\n" for part in range(4)) for n in range(12)},
    "long.txt": "A sentence of some words stands here. " * 400,
    "deep/notes.rst": "Title\n=====\n\nSome text.\n\nMore\n----\n\nAnd more.\n",
    "deep/corpus.jsonl": '{"_id": "a", "title": "T", "text": "one"}\nnot json\n{"_id": "a", "text": "again"}\n'
    '{"_id": 0, "text": "two"}\n',
    "empty.md": " \n",
    "hidden.md": "# Zero\u200bwidth\n\ntext\u202e here\n",
    "bad.txt": b"\xff\xfe\x00\x01\x02",
}


EMBEDDED: list[str] = []
"""Over all models that were made since a test began."""
CHECK = "A passage."
"""What a model computes at its start."""


class Counting(HashingEmbedding):
    """Says what it embeds."""

    def _get_text_embedding(self, text: str) -> list[float]:
        EMBEDDED.append(text)
        return super()._get_text_embedding(text)


@pytest.fixture
def config(milvus_server: str, request: pytest.FixtureRequest) -> RagConfig:
    return RagConfig(uri=milvus_server, collection=f"s{abs(hash(request.node.nodeid)):x}", embed_model="tiny")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    EMBEDDED.clear()
    return Settings(str(tmp_path / "shards"), 7, embedder=Embedder(IDENTITY, Counting))


def contents(config: RagConfig) -> tuple[list[str], list[str]]:
    """Every row, with its vector, and every record of the catalog."""
    store = open_store(config, IDENTITY)
    rows = store.client.query(
        config.collection, filter="", output_fields=["*"], limit=16_384, consistency_level="Strong"
    )
    catalog = open_catalog(store.client, config.collection, store.uid)
    entries = [repr(one) for one in catalog.get([name for name, _ in catalog.counts()]).values()]
    entries += [repr(root) for root in catalog.all_roots()]
    store.client.close()
    return sorted(json.dumps(row, default=float, sort_keys=True) for row in rows), sorted(entries)


def locally(config: RagConfig, paths: Sequence[Path], **options: Any) -> tuple[IngestReport, HashingEmbedding]:
    store, model = open_store(config, IDENTITY, create=True), HashingEmbedding()
    report = ingest(paths, store=store, embed_model=model, **options)
    store.client.close()
    return report, model


def other(config: RagConfig) -> RagConfig:
    return config.model_copy(update={"collection": config.collection + "_local"})


def compared(report: IngestReport) -> dict[str, Any]:
    return {**vars(report), "seconds": 0, "skipped": sorted(report.skipped)}


def test_a_shard_gives_back_its_documents() -> None:
    from qwen3_rag.documents.chunking import PassageParser
    from qwen3_rag.documents.readers import make_document
    from qwen3_rag.ingestion.batches import passages_batch
    from qwen3_rag.scale.shards import ShardDocument

    nodes = PassageParser().get_nodes_from_documents(
        [make_document("# A\n\none\n\n## B\n\ntwo", "a.md", "markdown", tags=["x", "y"], year=2024, who="ä")]
    )
    given = [ShardDocument("a.md", "/r", nodes, ["old"]), ShardDocument("none.md", "/r", [])]
    table = to_table(given, {nodes[1].node_id})
    found = list(documents_of(table))
    assert [(one.source, one.root, list(one.old_names)) for one in found] == [
        ("a.md", "/r", ["old"]),
        ("none.md", "/r", []),
    ]
    assert passages_batch(found[0].nodes) == passages_batch(nodes)
    assert [node.metadata for node in found[0].nodes] == [node.metadata for node in nodes]
    assert table.filter(table["missing"])["id"].to_pylist() == [nodes[1].node_id]
    assert content_hash(table) == content_hash(to_table(given)), "what is missing is not content"
    nodes[0].metadata["year"] = 2025
    assert content_hash(to_table(given)) != content_hash(table)


@pytest.mark.parametrize("shard_size", [1, 7, 100_000])
def test_rows_records_and_report_are_those_of_an_ingest(config: RagConfig, tmp_path: Path, shard_size: int) -> None:
    folder = write(tmp_path / "docs", dict(DOCS))
    settings = Settings(str(tmp_path / "shards"), shard_size, embedder=Embedder(IDENTITY, HashingEmbedding))
    told: list[Progress] = []
    options: dict[str, Any] = {"metadata": {"team": "search"}, "exclude": ["9.md"]}
    report = ingest_files([folder], config, in_process, settings, on_progress=told.append, **options)
    local, _ = locally(other(config), [folder], **options)
    assert compared(report) == compared(local)
    assert contents(config) == contents(other(config))
    assert report.written > 50
    assert len(report.skipped) == 4
    assert [one.done_bytes for one in (told[-1],)] == [told[-1].total_bytes]
    assert told[-1].passages == report.written


def test_either_ingest_goes_on_from_the_other(config: RagConfig, settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", dict(DOCS))
    ingest_files([folder], config, in_process, settings)
    report, model = locally(config, [folder], prune=True)
    assert (report.unchanged, report.written, report.updated, report.deleted) == (report.documents, 0, 0, 0)
    assert model.embedded == []
    write(folder, {"1.md": "# New\n\nother\n", "2.md": "# Front\n\nx\n\n" + str(DOCS["2.md"]), "new.md": "more"})
    (folder / "3.md").unlink()
    (folder / "deep" / "corpus.jsonl").unlink()
    locally(config, [folder], prune=True)
    EMBEDDED.clear()
    report = ingest_files([folder], config, in_process, settings, prune=True)
    assert (report.unchanged, report.written, report.updated, report.deleted) == (report.documents, 0, 0, 0)
    assert EMBEDDED == []
    write(folder, {"4.md": "# New\n\nanother\n", "3.md": "# Back\n\nagain\n"})
    (folder / "5.md").unlink()
    report = ingest_files([folder], config, in_process, settings, prune=True, metadata={"team": "search"})
    assert sorted(set(EMBEDDED) - {CHECK}) == ["# Back\n\nagain", "# New\n\nanother"]
    assert report.pruned == 1
    assert report.updated == report.kept > 40, "rows that get other metadata keep their vectors"
    locally(other(config), [folder], metadata={"team": "search"})
    assert contents(config) == contents(other(config))


def test_a_part_of_a_root_prunes_only_itself(config: RagConfig, settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", {"a/1.md": "one", "a/2.md": "two", "b/3.md": "three"})
    ingest_files([folder], config, in_process, settings)
    (folder / "a" / "1.md").unlink()
    (folder / "b" / "3.md").unlink()
    report = ingest_files([folder / "a", folder / "a" / "2.md"], config, in_process, settings, prune=True)
    assert (report.pruned, report.documents) == (1, 1)
    rows, _ = contents(config)
    assert sorted(json.loads(row)["doc_id"] for row in rows) == ["docs/a/2.md", "docs/b/3.md"]


@contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """Faults around every write of a file of the work folder, and of rows."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (Folder, "write"),
            (Folder, "remove"),
            (GrpcHandler, "upsert_rows"),
            (GrpcHandler, "delete"),
        ):
            original = getattr(owner, name)

            def around(self: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
                return faults.around(_original, self, *args, **kwargs)

            patch.setattr(owner, name, around)
        yield


def test_every_write_may_be_the_last(config: RagConfig, settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", {name: DOCS[name] for name in ("1.md", "2.md", "3.md")})
    counter = Faults()
    with injected(counter):
        ingest_files([folder], config, in_process, settings)
    assert counter.seen > 15
    wanted = contents(config)
    passages = len(wanted[0])
    points = [(stop, after) for stop in range(counter.seen) for after in (False, True)]
    for stop, after in drawn("writes", points, 20):
        EMBEDDED.clear()
        again = Settings(str(tmp_path / f"{stop}{after}"), 7, embedder=settings.embedder)
        at = config.model_copy(update={"collection": f"{config.collection}_{stop}{after}"})
        with pytest.raises(Killed), injected(Faults(stop, after)):
            ingest_files([folder], at, in_process, again)
        if stop > counter.seen // 3:  # something of the sources changes under way
            write(folder, {"2.md": str(DOCS["2.md"]) + f"\n# More {stop}\n\nwords\n"})
            os.utime(folder / "2.md", (stop * 10 + after, stop * 10 + after))  # or its time may be the same second
        ingest_files([folder], at, in_process, again, prune=True)
        rows, records = contents(at)
        ingest_files([folder], other(config), in_process, again, prune=True)
        assert (rows, records) == contents(other(config)), f"write {stop}, after={after}"
        embedded = [text for text in EMBEDDED if text != CHECK]
        assert len(embedded) <= 2 * (passages + 1), "at most one shard is computed again"
        assert Folder(str(tmp_path / f"{stop}{after}")).names("shards") == []
    assert wanted[0] != contents(other(config))[0]


def test_what_is_embedded_and_not_written_is_not_embedded_again(
    config: RagConfig, settings: Settings, tmp_path: Path
) -> None:
    folder = write(tmp_path / "docs", dict(DOCS))

    def embed_only(items: Sequence[Any], stages: Sequence[Stage]) -> Iterator[Any]:
        if stages[-1].kind == "cut":
            yield from in_process(items, stages)
        else:
            list(in_process(items, stages[:1]))
            raise Killed

    with pytest.raises(Killed):
        ingest_files([folder], config, embed_only, settings)
    assert settings.work is not None
    work = Folder(settings.work)
    found = [load_manifest(work, name.removesuffix(".json")) for name in work.names("manifests")]
    assert {(one.state, one.model["name"]) for one in found if one} == {("embedded", "hashing")}
    count = len(EMBEDDED)
    report = ingest_files([folder], config, in_process, settings)
    assert EMBEDDED[count:] == [CHECK], "the check at its start is all that the model computes"
    assert report.written == count - 1


def test_kept_shards_fill_a_collection_again_without_a_model(
    config: RagConfig, settings: Settings, tmp_path: Path
) -> None:
    folder = write(tmp_path / "docs", dict(DOCS))
    keeping = Settings(settings.work, 7, keep=True, embedder=settings.embedder)
    first = ingest_files([folder], config, in_process, keeping)
    before = contents(config)
    count = len(EMBEDDED)
    report = ingest_files([folder], config, in_process, keeping, overwrite=True)
    assert (report.written, EMBEDDED[count:]) == (first.written, [CHECK])
    assert contents(config) == before


def test_rows_of_a_corpus_are_documents(config: RagConfig, settings: Settings, tmp_path: Path) -> None:
    """As the BEIR reader makes them of a file."""
    rows = [{"_id": str(n), "title": f"T{n}", "text": f"words {n}"} for n in range(20)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    folder = write(tmp_path / "beir", {"corpus.jsonl": lines})
    with Job(config, in_process, settings) as job:
        cut = CutRows(job.plan, Root(str(folder), "beir"), "beir/corpus.jsonl", Columns())([*rows, {"_id": "x"}])
        job.cut([cut])
        job.load()
        report = job.end()
    assert (report.documents, report.written) == (20, 20)
    assert report.skipped == [("beir/corpus.jsonl#x", 'not a BEIR document: it needs "_id" and "text"')]
    local, model = locally(config, [folder])
    assert (local.unchanged, local.written, model.embedded) == (20, 0, [])


def test_two_rows_with_one_id_are_refused_before_anything_is_written(config: RagConfig, settings: Settings) -> None:
    with Job(config, in_process, settings) as job:
        step = CutRows(job.plan, Root("corpus:c", "c"), "c", Columns(id="key", text="body", metadata=("year",)))
        one = step([{"key": n, "body": f"text {n}", "year": 2000 + n} for n in range(3)])
        two = step([{"key": 2, "body": "other"}])
        with pytest.raises(ConfigError, match="1 names stand for several documents, 'c#2' for one"):
            job.cut([one, two])
    assert contents(config)[0] == []
    with Job(config, in_process, settings) as job:
        job.cut([step([{"key": n, "body": f"text {n}", "year": 2000 + n} for n in range(3)])])
        job.load()
        job.end()
    with Job(config, in_process, settings) as job:
        done = step([{"key": n, "body": f"text {n}", "year": 2000 + n} for n in range(3)])
        assert {shard.state for shard in done.shards} == {"done"}
        with pytest.raises(ConfigError, match="1 names stand for several documents, 'c#2' for one"):
            job.cut([done, two])


def test_what_is_wrong_is_said_first(config: RagConfig, settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", {"1.md": "one"})
    with pytest.raises(ConfigError, match=r"x\.db is a Milvus Lite file, .* serve it with `milvus-lite server"):
        ingest_files([folder], RagConfig(uri="x.db", embed_model="tiny"), in_process, settings)
    with pytest.raises(ConfigError, match="shard_size=0: a shard has 1 to 1,000,000 passages"):
        Settings(shard_size=0)
    with pytest.raises(ConfigError, match=r"'nowhere://x' cannot be opened: .*; give a folder"):
        ingest_files([folder], config, in_process, Settings("nowhere://x", embedder=settings.embedder))
    write(tmp_path, {"file": "x"})
    with pytest.raises(UnavailableError, match="cannot be written"):
        ingest_files([folder], config, in_process, Settings(str(tmp_path / "file"), embedder=settings.embedder))
    shorter = Settings(settings.work, embedder=Embedder(IDENTITY, partial(HashingEmbedding, 32)))
    with pytest.raises(ConfigError, match="gives 32 dimensions, the collection has 64"):
        ingest_files([folder], config, in_process, shorter)
    with (
        Job(config, in_process, settings) as job,
        pytest.raises(UnavailableError, match="--work-dir that all machines"),
    ):
        EmbedShard(job.plan)("0" * 32)


def test_a_folder_in_an_object_store() -> None:
    folder = Folder("memory://bucket/work")
    folder.write("a/one", b"1")
    folder.write("a/one", b"2")
    assert (folder.read("a/one"), folder.names("a"), folder.names("b"), folder.has("a/two")) == (
        b"2",
        ["one"],
        [],
        False,
    )
    folder.remove("a/one")
    folder.remove("a/one")
    assert not folder.has("a/one")


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a/one", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(folder, "files", _NoMove(folder.files))
        with pytest.raises(UnavailableError, match=r"one in .* cannot be written: no more"):
            folder.write("a/one", b"new")
    assert folder.read("a/one") == b"old"


class _NoMove:
    """A disk that ends after the content is written."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    def move(self, *_: str) -> None:
        raise OSError("no more")
