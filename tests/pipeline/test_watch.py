"""A watched folder under an editor's habits ends as a clean ingest would make it."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from qwen3_rag import Models, RagConfig, Session
from qwen3_rag.errors import UnavailableError
from qwen3_rag.ingestion.pruning import Seen
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.ingestion.watching import keep_in_line
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import random_of

from .conftest import write

NAMES = ["a.md", "b.md", "sub/c.md", "sub/deep/d.txt", "build/e.md", "f.md"]
NUMBERS = itertools.count()
Rows = list[tuple[str, str, dict[str, Any]]]


class Watched:
    """A watch in a thread, and a look at what it has made."""

    def __init__(self, config: RagConfig, *paths: str) -> None:
        self.config, self.paths = config, paths
        self.models = Models(HashingEmbedding(), IDENTITY, None)
        self.seen, self.stop = Seen(), Event()
        self.reports: list[IngestReport] = []
        self.troubles: list[str] = []
        self.errors: list[BaseException] = []

    def ingest_once(self) -> IngestReport:
        with Session(self.config, models=self.models) as session:
            return session.ingest(self.paths, prune=True, seen=self.seen)

    def __enter__(self) -> Watched:
        self.thread = Thread(target=self._run)
        self.thread.start()
        wait_for(lambda: bool(self.reports or self.errors or self.troubles))
        return self

    def _run(self) -> None:
        try:
            keep_in_line(
                self.paths,
                self.ingest_once,
                on_report=self.reports.append,
                on_trouble=self.troubles.append,
                stop=self.stop,
            )
        except BaseException as error:
            self.errors.append(error)

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert self.errors == []


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def rows(config: RagConfig) -> Rows:
    """Every row with its metadata, in the node and as fields to filter by."""
    with Session(config, models=Models(HashingEmbedding(), IDENTITY, None)) as session:
        store = session.store
        found = store.client.query(store.collection_name, filter="", output_fields=["*"], limit=10_000)
        fields = ("doc_id", "text", "position", "title", "header_path", "modified", "root")
        return sorted(
            (row["id"], json.dumps([row.get(field) for field in fields]), json.loads(row["_node_content"])["metadata"])
            for row in found
        )


def clean(config: RagConfig, *paths: str) -> Rows:
    """What an ingest into a new collection makes of it."""
    # A name of its own each time: Milvus Lite may say of one that was just dropped that it has no index.
    other = config.model_copy(update={"collection": f"{config.collection}_clean{next(NUMBERS)}"})
    with Session(other, models=Models(HashingEmbedding(), IDENTITY, None)) as session:
        session.ingest(paths)
    return rows(other)


def save_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def save_by_renaming(path: Path, text: str) -> None:
    """As most editors do."""
    other = path.with_name(f"{path.name}.tmp")
    other.write_text(text)
    os.replace(other, path)


def save_with_a_backup(path: Path, text: str) -> None:
    """As vim does: the old file becomes `a.md~`, a new one is written, the backup goes."""
    backup = path.with_name(f"{path.name}~")
    if path.exists():
        os.rename(path, backup)
    path.write_text(text)
    backup.unlink(missing_ok=True)


def save_by_deleting(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)


SAVES = [save_in_place, save_by_renaming, save_with_a_backup, save_by_deleting]


def edit(chance: random.Random, folder: Path, number: int) -> None:
    path = folder / chance.choice(NAMES)
    path.parent.mkdir(parents=True, exist_ok=True)
    match chance.randrange(10):
        case 0:
            path.unlink(missing_ok=True)
        case 1:
            other = folder / chance.choice(NAMES)
            other.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                os.replace(path, other)
        case 2:
            shutil.rmtree(folder / "sub", ignore_errors=True)
        case 3:
            shutil.rmtree(folder / "moved", ignore_errors=True)
            if (folder / "sub").exists():
                os.rename(folder / "sub", folder / "moved")
        case 4:
            (folder / ".gitignore").write_text(chance.choice(["", "build/\n", "*.txt\n", "moved/\n"]))
        case _:
            chance.choice(SAVES)(path, f"# Title {number}\n\nText {chance.randrange(5)}.\n\n## More\n\nOf {number}.\n")


@pytest.fixture
def config(milvus_server: str, request: pytest.FixtureRequest) -> RagConfig:
    """A server: others may search while the watch writes."""
    return RagConfig(uri=milvus_server, collection=f"w{abs(hash(request.node.nodeid)):x}", embed_model="tiny")


@contextmanager
def searching(config: RagConfig, models: Models) -> Iterator[list[int]]:
    """Somebody who asks all the while: the number of passages that each search found. None may fail."""
    stop, found = Event(), list[int]()
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            with Session(config, models=models) as session:
                while not stop.is_set():
                    found.append(len(session.search("text", top_n=1).dense))
                    time.sleep(0.02)
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert errors == []


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_random_edits_end_in_the_state_of_a_clean_ingest(config: RagConfig, seed: int) -> None:
    chance, folder = random_of(f"edits {seed}"), Path("docs")
    write(folder, {"a.md": "# A\n\nx\n", "sub/c.md": "# C\n\ny\n", "corpus.jsonl": '{"_id": "1", "text": "first"}\n'})
    with Watched(config, "docs") as watched:
        with searching(config, watched.models) as found:
            for number in range(200):
                edit(chance, folder, number)
                if number % 10 == 0:
                    time.sleep(chance.choice([0, 0.2, 0.7]))
        assert len(found) > 1
        expected = clean(config, "docs")
        wait_for(lambda: rows(config) == expected)
        time.sleep(1)
        assert rows(config) == expected, "it stays so"
        assert watched.troubles == []
    assert len(watched.reports) > 1


def test_only_what_changed_is_read_again(config: RagConfig) -> None:
    folder = write(Path("docs"), {f"{number}.md": f"# {number}\n\nText.\n" for number in range(5)})
    for file in folder.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    with Watched(config, "docs") as watched:
        assert watched.reports[0].documents == 5
        save_by_renaming(folder / "3.md", "# 3\n\nOther text.\n")
        (folder / "4.md").unlink()
        wait_for(lambda: sum(report.pruned for report in watched.reports) == 1)
        wait_for(lambda: sum(report.written for report in watched.reports) == 6)
        assert sum(report.documents for report in watched.reports[1:]) <= 2
        assert rows(config) == clean(config, "docs")


def test_a_folder_that_goes_is_waited_for_and_watched_again(config: RagConfig) -> None:
    folder = write(Path("docs"), {"a.md": "# A\n\nText.\n"})
    with Watched(config, "docs") as watched:
        before = rows(config)
        os.rename(folder, "aside")
        wait_for(lambda: len(watched.troubles) == 1)
        assert "it is waited for" in watched.troubles[0]
        assert rows(config) == before
        write(Path("docs"), {"b.md": "# B\n\nText.\n"})
        wait_for(lambda: rows(config) == clean(config, "docs"))
        write(Path("docs"), {"c.md": "# C\n\nText.\n"})
        wait_for(lambda: rows(config) == clean(config, "docs"))


def test_a_single_file_is_watched_over_its_replacement(config: RagConfig) -> None:
    write(Path("docs"), {"a.md": "# A\n\nText.\n", "b.md": "# B\n\nText.\n"})
    with Watched(config, "docs/a.md"):
        for number, save in enumerate(SAVES):
            save(Path("docs/a.md"), f"# A\n\nText {number}.\n")
            wait_for(lambda: rows(config) == clean(config, "docs/a.md"))


def test_what_cannot_be_reached_is_tried_again(config: RagConfig) -> None:
    write(Path("docs"), {"a.md": "# A\n\nText.\n"})
    watched = Watched(config, "docs")
    ingest_once, calls = watched.ingest_once, iter(range(100))

    def at_the_third_time() -> IngestReport:
        if next(calls) < 2:
            raise UnavailableError("the database is in use")
        return ingest_once()

    watched.ingest_once = at_the_third_time  # type: ignore[method-assign]
    with watched:
        wait_for(lambda: bool(watched.reports))
        assert watched.troubles == ["the database is in use"]
        assert len(rows(config)) == 1


@pytest.fixture
def command(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """`ingest . --watch` with its database inside the watched folder, free between batches."""
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    write(Path("."), {"a.md": "# A\n\nText.\n"})
    process = subprocess.Popen(
        [sys.executable, "-m", "qwen3_rag.cli", "ingest", ".", "--watch", "--json", "--uri", "./kb.db"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_the_command_ends_at_ctrl_c_and_leaves_the_database_free(command: subprocess.Popen[str]) -> None:
    assert command.stdout is not None
    assert json.loads(command.stdout.readline())["written"] == 1
    write(Path("."), {"b.md": "# B\n\nText.\n"})
    assert json.loads(command.stdout.readline())["written"] == 1
    shown = [sys.executable, "-m", "qwen3_rag.cli", "show", f"{Path.cwd().name}/b.md", "--uri", "./kb.db"]
    assert "# B" in subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    command.send_signal(signal.SIGINT)
    out, error = command.communicate(timeout=30)
    assert (command.returncode, out) == (0, ""), error
    assert "Traceback" not in error
