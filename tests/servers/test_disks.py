"""A full disk and a read-only one under a Milvus Lite database: one line, and the next run goes on. Needs `mount`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i}.md").write_text("".join(f"## {i} {j}\n\n{'many words ' * 60}{i} {j}\n\n" for j in range(40)))
    return folder


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(Path(sys.executable).with_name("qwen3-rag"))
    command = [script, *arguments, "--embed-model", "tiny", "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(disk: Path, docs: Path) -> None:
    full = call("ingest", str(docs), "--uri", str(disk / "kb.db"))
    assert full.returncode == 4, full.stderr
    assert "Traceback" not in full.stderr
    mount("-o", "remount,size=200m", str(disk))
    again = call("ingest", str(docs), "--uri", str(disk / "kb.db"), "--json")
    assert again.returncode == 0, again.stderr
    assert '"documents": 60' in again.stdout


def test_a_read_only_folder_is_one_line(disk: Path, docs: Path) -> None:
    mount("-o", "remount,ro", str(disk))
    done = call("ingest", str(docs), "--uri", str(disk / "kb.db"))
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
