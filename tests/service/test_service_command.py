"""`qwen3-rag serve` as a process: found and asked by the command line, stopped in the middle of its work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import qwen3_rag
from support.command import command, ingested
from support.openai_server import OpenAIServer, Reply
from support.servers import reserved_port
from support.service import good, wait_until

SCRIPT = str(Path(sys.executable).parent / "qwen3-rag")
KNOWLEDGE = Path(qwen3_rag.__file__).parent / "knowledge"
QUESTION = "What does BM25 count in a passage?"
HEAVY = ("torch", "llama_index.core", "pymilvus", "transformers", "openai", "numpy", "httpx", "starlette")
pytestmark = pytest.mark.timeout(600)  # processes that load models, one after another


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database in it; its services are announced below it."""
    folder = tmp_path_factory.mktemp("command")
    fill(folder, str(KNOWLEDGE), "--hybrid")
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "QWEN3_RAG_URI": "kb.db", "XDG_STATE_HOME": str(folder / "state"), **more}


def fill(folder: Path, *arguments: str) -> None:
    """The database of a folder, by an ingest in this process."""
    ingested(folder, *arguments, "--embed-model", "tiny", "--server", "none", QWEN3_RAG_URI="kb.db")


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], cwd=folder, env=environment(folder, **more), capture_output=True, text=True, check=False
    )


@contextmanager
def serving(folder: Path, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address, once it says that it is ready."""
    with reserved_port() as port, (folder / "log").open("w+") as log:
        started = [SCRIPT, "serve", "--embed-model", "tiny", "--port", str(port), *arguments]
        process = subprocess.Popen(started, cwd=folder, env=environment(folder, **more), stderr=log, text=True)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is not None or "serving" in (folder / "log").read_text(), 120)
            assert process.poll() is None, (folder / "log").read_text()
            yield process, url
        finally:
            process.terminate()
            process.wait(60)
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def warm(filled: Path) -> Iterator[str]:
    with serving(filled) as (_, url):
        yield url


def found(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def test_the_command_line_finds_the_service_and_says_so(filled: Path, warm: str) -> None:
    for server in ([], ["--server", warm]):
        done = run(filled, "search", QUESTION, "--json", "--top-n", "2", *server)
        assert f"asking the service at {warm}" in done.stderr
        assert found(done) == httpx.post(f"{warm}/search", json={"query": QUESTION, "top_n": 2}).json()
    filtered = found(run(filled, "search", "x", "--filter", "source=knowledge/rag.md", "--no-rerank", "--json"))
    assert {row["source"] for row in filtered["dense"]} == {"knowledge/rag.md"}
    assert filtered["reranked"] is None
    assert found(run(filled, "search", QUESTION, "--mode", "hybrid", "--json"))["mode"] == "hybrid"
    shown = found(run(filled, "show", "knowledge/rag.md", "--from", "2", "--count", "3", "--json"))
    assert [one["position"] for one in shown["passages"]] == [2, 3, 4]
    assert found(run(filled, "sources", "knowledge/r", "--json"))["total"] == 2
    compared = run(filled, "compare", QUESTION)
    assert "after reranking" in found(compared)
    (filled / "questions.txt").write_text(f"{QUESTION}\n\nWhat is RAG?\n")
    many = run(filled, "search", "--queries", "questions.txt", "--json")
    assert [json.loads(line)["query"] for line in many.stdout.splitlines()] == [QUESTION, "What is RAG?"]


def test_nothing_heavy_is_imported_to_ask_a_service(filled: Path, warm: str) -> None:
    for words in (
        ["search", QUESTION],
        ["compare", QUESTION],
        ["show", "knowledge/rag.md"],
        ["sources"],
        ["ask", "x"],
    ):
        code = (
            "import sys; from qwen3_rag.cli.program import app\n"
            f"sys.argv[1:] = {words!r}\n"
            "try: app()\nexcept SystemExit: pass\n"
            f"sys.stderr.write('HEAVY ' + ' '.join(set(sys.modules) & set({HEAVY!r})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=filled,
            env=environment(filled),
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"asking the service at {warm}" in done.stderr
        assert done.stderr.endswith("HEAVY "), done.stderr[-300:]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["search", "x", "--embed-model", "0.6B"], "--embed-model '0.6B'"),
        (["search", "x", "--rerank-model", "0.6B"], "--rerank-model '0.6B'"),
        (["search", "x", "--dimensions", "64"], "--dimensions 64"),
        (["search", "x", "--collection", "other"], "'other' is not served"),
        (["search", "x", "--filter", "nonsense"], "key=value"),
        (["search", " "], "empty"),
        (["show", "nothing.md"], "no document 'nothing.md'"),
        (["ask", "x", "--llm", "qwen3:4b"], "--llm 'qwen3:4b'"),
        (["ingest", "."], "--allow-write"),
        (["ingest", "--remove", "x", "--server", "http://127.0.0.1:1"], "--remove"),
        (["search", "x", "--server", "nowhere"], "--server 'nowhere'"),
        (["search", "x", "--server", "http://kb.example.org:1"], "clear text"),
    ],
    ids=" ".join,
)
def test_what_the_service_cannot_honour_is_exit_2(filled: Path, warm: str, arguments: list[str], word: str) -> None:
    done = run(filled, *arguments, QWEN3_RAG_API_TOKEN="secret" if "kb.example" in arguments[-1] else "")
    assert found(done, 2) == ""
    assert word in done.stderr
    assert "secret" not in done.stderr


def test_settings_that_are_the_services_are_no_trouble(filled: Path, warm: str) -> None:
    done = run(
        filled, "search", "x", "--embed-model", "tiny", "--rerank-model", "tiny", "--json", QWEN3_RAG_DTYPE="auto"
    )
    assert found(done)["dense"]


def test_a_service_that_is_away_is_exit_4_and_a_stale_one_is_passed_over(
    filled: Path, warm: str, tmp_path: Path
) -> None:
    done = run(filled, "search", "x", "--server", "http://127.0.0.1:9")
    assert found(done, 4) == ""
    assert "cannot be asked" in done.stderr
    state = tmp_path / "state" / "qwen3-rag" / "services"
    state.mkdir(parents=True)
    [announced] = (filled / "state" / "qwen3-rag" / "services").glob("*.json")
    for text in ("{", '{"url": "http://127.0.0.1:9", "pid": 1}', '{"url": "http://evil.example", "pid": 1}', "[]"):
        (state / announced.name).write_text(text)
        alone = command(filled, "sources", "--json", QWEN3_RAG_URI="kb.db", XDG_STATE_HOME=str(tmp_path / "state"))
        assert (alone.exit_code, alone.stdout) == (4, "")
        assert "in use by another process" in alone.stderr
        assert "evil" not in alone.stderr


def test_an_answer_through_the_service(filled: Path, tmp_path: Path) -> None:
    """In a database of its own: the module's is held by its service."""
    fill(tmp_path, str(KNOWLEDGE / "retrieval.md"))
    with OpenAIServer(lambda _: Reply("BM25 counts words [1].")) as llm:
        with serving(tmp_path, "--llm-base-url", llm.url):
            whole = found(run(tmp_path, "ask", QUESTION, "--json"))
            assert whole["answer"] == "BM25 counts words [1]."
            streamed = run(tmp_path, "ask", QUESTION, "--stream")
            assert streamed.stdout.startswith("BM25 counts words [1].")
            assert "Sources" in streamed.stdout
        assert llm.requests[-1].stream


def test_ingesting_through_the_service(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tea.md").write_text("# Tea\n\nSteep green tea at 80 degrees.\n")
    (tmp_path / "docs" / "broken.md").write_bytes(b"\xff\xfe\x00\x00broken\xd8\x00")
    with serving(tmp_path, "--allow-write"):
        done = run(tmp_path, "ingest", "docs", "--json", "--meta", "team=red")
        assert found(done, 3 if json.loads(done.stdout)["skipped"] else 0)["written"] >= 1
        assert "asking the service" in done.stderr
        assert found(run(tmp_path, "search", "tea", "--filter", "team=red", "--json"))["dense"]
        assert "follow-links" in run(tmp_path, "ingest", "docs", "--follow-links").stderr
        assert "--write-root" in run(tmp_path, "ingest", str(KNOWLEDGE)).stderr
        assert run(tmp_path, "ingest", "nowhere").returncode == 2


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, id="TERM"), pytest.param(signal.SIGINT, id="INT", marks=pytest.mark.slow)],
)
def test_stopped_in_the_middle_it_answers_what_it_has_begun(tmp_path: Path, number: signal.Signals) -> None:
    fill(tmp_path, str(KNOWLEDGE / "retrieval.md"))
    with (
        OpenAIServer(lambda _: Reply("In good time [1].", delay=2)) as llm,
        serving(tmp_path, "--llm-base-url", llm.url) as (process, url),
        httpx.Client(timeout=60) as http,
    ):
        begun: list[Any] = []
        asking = threading.Thread(target=lambda: begun.append(http.post(f"{url}/ask", json={"query": QUESTION})))
        asking.start()
        wait_until(lambda: llm.requests)
        process.send_signal(number)
        time.sleep(0.3)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/health")
        asking.join(30)
        assert good(begun[0])["answer"] == "In good time [1]."
        assert process.wait(30) == 0
    # Lock and announcement are gone: the next command opens the database itself.
    after = run(tmp_path, "sources", "--json")
    assert "asking" not in after.stderr
    assert found(after)["total"] == 1


def test_what_keeps_it_from_serving_has_its_exit_code(filled: Path, warm: str, tmp_path: Path) -> None:
    port = warm.rsplit(":", 1)[1]
    for arguments, code, word in (
        (["--embed-model", "tiny", "--port", port], 4, "cannot listen"),
        (["--embed-model", "tiny", "--port", "0"], 4, "in use by another process"),
        (["--embed-model", "tiny", "--host", "0.0.0.0"], 2, "QWEN3_RAG_API_TOKEN"),
        (["--embed-model", "tiny", "--scope", "nonsense"], 2, "key=value"),
        (["--embed-model", "tiny", "--scope", "a=b", "--allow-write"], 2, "give one of them"),
        (["--embed-model", "nowhere/at/all", "--port", "0"], 2, "nowhere/at/all"),
    ):
        done = command(filled, "serve", *arguments, QWEN3_RAG_URI="kb.db", XDG_STATE_HOME=str(filled / "state"))
        assert done.exit_code == code, (arguments, done.stderr)
        assert word in done.stderr
        assert "Traceback" not in done.stderr
    done = command(tmp_path, "serve", "--embed-model", "tiny", "--port", "0", QWEN3_RAG_URI="kb.db")
    assert done.exit_code == 4
    assert "no database" in done.stderr


def test_with_a_token_the_command_line_shows_its_own(tmp_path: Path) -> None:
    fill(tmp_path, str(KNOWLEDGE / "rag.md"))
    with serving(tmp_path, "--host", "0.0.0.0", QWEN3_RAG_API_TOKEN="correct-horse") as (_, url):
        done = run(tmp_path, "search", "RAG", "--json")
        assert found(done, 2) == ""
        assert "QWEN3_RAG_API_TOKEN" in done.stderr
        assert found(run(tmp_path, "search", "RAG", "--json", QWEN3_RAG_API_TOKEN="correct-horse"))["dense"]
        assert httpx.get(f"{url}/health").status_code == 401
    announcement = next((tmp_path / "state" / "qwen3-rag" / "services").iterdir(), None)
    assert announcement is None
    assert not re.search("correct-horse", (tmp_path / "log").read_text())
