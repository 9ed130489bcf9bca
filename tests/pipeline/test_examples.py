"""The pipeline's examples and benchmarks run as they stand, in small."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from support.openai_server import OpenAIServer, Reply

from .conftest import SHARED

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_the_tutorial_from_files_to_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pair: Path
) -> None:
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    with OpenAIServer([Reply("In storage [1].")]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        printed = run(monkeypatch, capsys, "tutorial.py", "--model", str(pair / "embedding"))
    assert "chunks from 10 files" in printed
    assert "Second stage: reranked" in printed
    assert "Answer: In storage [1]." in printed
    assert "<context>" in server.requests[0].messages[1]["content"]


@pytest.mark.skipif(not (SHARED / "data" / "milvus-faq").is_dir(), reason="the Milvus FAQ is not at ../shared")
def test_the_tutorial_cuts_the_faq_into_72_chunks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pair: Path
) -> None:
    folder = str(SHARED / "data" / "milvus-faq")
    printed = run(monkeypatch, capsys, "tutorial.py", folder, "--model", str(pair / "embedding"))
    assert "72 chunks from 4 files" in printed
    assert "No answer: no key" in printed


def test_ingest_memory_prints_its_numbers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(monkeypatch, capsys, "benchmarks/ingest_memory.py", "--passages", "1500", "--lite")
    numbers = json.loads(printed.splitlines()[-1])
    assert numbers["first run"]["written"] == 1500
    assert numbers["second run, nothing changed"]["written"] == 0


def test_query_overhead_prints_its_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pair: Path
) -> None:
    arguments = ("--questions", "5", "--embed-model", str(pair / "embedding"))
    printed = run(monkeypatch, capsys, "benchmarks/query_overhead.py", *arguments)
    assert json.loads(printed.splitlines()[-1])["questions"] == 5
