"""Killed at any moment and started again, an ingest ends with exactly the right passages.

In process a fault is injected before and after every write that reaches Milvus (the calls of pymilvus' gRPC handler);
then real processes are killed with SIGKILL. After each, one more run must leave the same ids as an undisturbed one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymilvus.client.grpc_handler import GrpcHandler
from qwen3_rag.config import RagConfig
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.formats import FORMATS
from qwen3_rag.documents.walk import find_files
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.store.catalog import Root
from qwen3_rag.store.connect import release_lite
from qwen3_rag.store.opening import open_store
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import drawn, random_of

from .conftest import held_ids, write

WRITES = (
    "create_collection",
    "create_index",
    "alter_collection_properties",
    "load_collection",
    "upsert_rows",
    "delete",
)
OLD = {f"{number}.md": "".join(f"# H{part}\n\ntext {number} {part}\n\n" for part in range(3)) for number in range(9)}
NEW = {
    **{name: text for name, text in OLD.items() if name not in ("7.md", "8.md")},
    "0.md": "# H0\n\nchanged\n\n" + OLD["0.md"],
    "3.md": OLD["3.md"].replace("text 3 1", "other words"),
    "5.md": "# All new\n\nnothing stays\n",
    "new.txt": "a new file " * 10,
}


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


class Faults:
    """Counts writes; raises before or after the chosen one."""

    def __init__(self, stop_at: int = -1, after: bool = False) -> None:
        self.seen, self.stop_at, self.after = 0, stop_at, after

    def around(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        number, self.seen = self.seen, self.seen + 1
        if number == self.stop_at and not self.after:
            raise Killed
        result = call(*args, **kwargs)
        if number == self.stop_at:
            raise Killed
        return result


@contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """Faults around every write of this process to any Milvus."""
    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            original = getattr(GrpcHandler, name)

            def around(self: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
                return faults.around(_original, self, *args, **kwargs)

            patch.setattr(GrpcHandler, name, around)
        yield


def run(config: RagConfig, folder: Path) -> tuple[IngestReport, int, list[str]]:
    """One ingest as the command line does it: (report, texts embedded, ids held after it)."""
    embed_model = HashingEmbedding()
    store = open_store(config, IDENTITY, create=True)
    try:
        report = ingest([folder], store=store, embed_model=embed_model, prune=True, batch_size=2)
        return report, len(embed_model.embedded), held_ids(store)
    finally:
        store.client.close()


def wanted(folder: Path) -> dict[str, list[str]]:
    """The ids of each document, worked out without a database."""
    parser = PassageParser()
    root = Root(str(folder), folder.name)
    files = find_files([folder], lambda *_: None, name=lambda path: root.source(str(path)))
    documents = [
        one for file in files for one in FORMATS[file.kind].reader.lazy_load_data(file.path, source=file.source)
    ]
    return {d.node_id: [node.node_id for node in parser.get_nodes_from_documents([d])] for d in documents}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The same sources in two versions: the old one is moved away and the new one put in its place by `replace`."""
    return write(tmp_path / "old", dict(OLD)), write(tmp_path / "new", dict(NEW))


def test_every_write_of_a_first_ingest_and_of_an_update_may_be_the_last(
    backend: str, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    base = RagConfig(uri=backend, embed_model="tiny", hybrid=True)
    docs.symlink_to(folders[0])
    old = wanted(docs)
    counter = Faults()
    with injected(counter):
        run(base.model_copy(update={"collection": "first"}), docs)
    first = counter.seen
    docs.unlink()
    docs.symlink_to(folders[1])
    new = wanted(docs)
    counter = Faults()
    with injected(counter):
        _, _, undisturbed = run(base.model_copy(update={"collection": "first"}), docs)
    assert undisturbed == sorted(one for ids in new.values() for one in ids)

    points = [("first", n, after) for n in range(first) for after in (False, True)]
    points += [("update", n, after) for n in range(counter.seen) for after in (False, True)]
    assert len(points) >= 50
    # Over a server the transport is what differs: fewer points will do.
    points = drawn("writes", points, 12 if backend.startswith("http") else 24)
    for number, (what, stop_at, after) in enumerate(points):
        config = base.model_copy(update={"collection": f"at{number}"})
        docs.unlink()
        docs.symlink_to(folders[0])
        before: dict[str, list[str]] = {}
        if what == "update":
            run(config, docs)
            docs.unlink()
            docs.symlink_to(folders[1])
            before = old
        expected = wanted(docs)
        with pytest.raises(Killed), injected(Faults(stop_at, after)):
            run(config, docs)
        left = _held_without_checks(config)
        for document, ids in before.items():
            versions = [set(ids), set(expected.get(document, []))]
            assert any(version <= set(left) for version in versions), f"a hole in {document} after {what} {stop_at}"
        assert len(left) == len(set(left))
        _, embedded, after_rerun = run(config, docs)
        every = sorted(one for ids in expected.values() for one in ids)
        assert after_rerun == every, f"{what} write {stop_at}, after={after}"
        assert embedded == len(set(every) - set(left)), "only what is missing is embedded"


def _held_without_checks(config: RagConfig) -> list[str]:
    from pymilvus import MilvusClient

    client = MilvusClient(config.uri)
    try:
        if not client.has_collection(config.collection) or len(client.list_indexes(config.collection)) < 2:
            return []
        client.load_collection(config.collection)
        rows = client.query(config.collection, filter="", output_fields=["id"], limit=16_384)
        return sorted(row["id"] for row in rows)
    finally:
        client.close()


KILLS = int(os.environ.get("QWEN3_TEST_KILLS", "8"))
CHILD = Path(__file__).parents[1] / "support" / "slow_ingest.py"


@pytest.mark.timeout(3600)
def test_real_kills_are_survived(tmp_path: Path) -> None:
    """`KILLS` of them, with the sources changing; now and then one more run must end with the right passages."""
    texts: dict[str, str | bytes] = {
        f"{n:02}.md": "".join(f"# {p}\n\nfile {n} {p}\n\n" for p in range(5)) for n in range(40)
    }
    folder = write(tmp_path / "docs", texts)
    config = RagConfig(uri=str(tmp_path / "a.db"), embed_model="tiny")
    chance = random_of("kills")
    command = [sys.executable, str(CHILD), config.uri, str(folder), "many"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as children:
        for kill in range(1, KILLS + 1):
            _kill_one(children, chance)
            if kill % 50 == 0 or kill == KILLS:
                _assert_one_more_run_ends_right(config, folder)
            if kill % 3 == 0:
                changed = chance.sample(list(texts), 10)
                write(folder, {name: f"# changed\n\n{name} {kill}\n\n# kept\n\n{name}\n" for name in changed})


def _kill_one(children: subprocess.Popen[str], chance: random.Random) -> None:
    """An ingest killed after some of its batches and a moment; it may have ended by then."""
    assert children.stdin
    assert children.stdout
    children.stdin.write("\n")
    children.stdin.flush()
    child, line = int(children.stdout.readline()), "batch\n"
    for _ in range(chance.randrange(1, 12)):
        line = children.stdout.readline()
        if line != "batch\n":
            break
    time.sleep(chance.random() * 0.05)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    while line != "ended\n":
        assert line == "batch\n", f"the parent of the ingests said {line!r}"
        line = children.stdout.readline()


def _assert_one_more_run_ends_right(config: RagConfig, folder: Path) -> None:
    store = open_store(config, IDENTITY, create=True)
    held = store.count()
    store.close()
    report, embedded, ids = run(config, folder)
    expected = sorted(one for found in wanted(folder).values() for one in found)
    assert ids == expected
    assert held > 0
    assert embedded == report.written < len(expected), "what the killed runs wrote is kept"
    assert report.skipped == []
    release_lite(config.uri)


def test_of_two_ingests_on_one_lite_file_one_is_told_to_wait(tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", {f"{n}.md": f"# {n}\n\ntext {n}\n" for n in range(40)})
    command = [sys.executable, str(CHILD), str(tmp_path / "a.db"), str(folder)]
    first = subprocess.Popen([*command, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    first.stdout.readline()  # it is in the middle of its work, so it holds the lock
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    first.communicate()
    assert first.returncode == 0
    assert second.returncode == 4
    assert "in use by another process" in second.stderr
    assert "Traceback" not in second.stderr
    _, _, ids = run(RagConfig(uri=str(tmp_path / "a.db"), embed_model="tiny"), folder)
    assert ids == sorted(one for found in wanted(folder).values() for one in found)
    release_lite(str(tmp_path / "a.db"))
