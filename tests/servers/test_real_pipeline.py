"""The commands on two real model servers: the same rows as with models that run here, whoever filled the collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig
from qwen3_rag.session import Session
from qwen3_rag.store.connect import release_lite
from support.checkpoints import make_checkpoint
from support.model_server import ModelServer
from support.openai_server import OpenAIServer, Reply
from typer.testing import CliRunner

from .conftest import SHAPE

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]
QUESTION = "Where is bread kept?"
WORDS = ("data", "bread", "air", "日本語", "milvus", "tea", "cats", "rain")
DIALECTS = {"vllm": ("vllm", "tokens"), "llama_cpp": ("llama.cpp", "server")}


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with documents and a labelled corpus, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    Path("docs").mkdir()
    Path("beir/qrels").mkdir(parents=True)
    for word in WORDS:
        parts = "".join(f"## Part {i}\n\n{word} number {i} is kept in a box.\n\n" for i in range(20))
        Path(f"docs/{word}.md").write_text(f"# {word}\n\n{parts}")
    rows = [json.dumps({"_id": f"d{i}", "text": f"{word} is kept warm"}) for i, word in enumerate(WORDS)]
    Path("beir/corpus.jsonl").write_text("\n".join(rows))
    asked = [json.dumps({"_id": f"q{i}", "text": f"where is {word}"}) for i, word in enumerate(WORDS)]
    Path("beir/queries.jsonl").write_text("\n".join(asked))
    Path("beir/qrels/test.tsv").write_text("".join(f"q{i}\td{i}\t1\n" for i in range(len(WORDS))))
    yield
    release_lite(RagConfig().uri)


@pytest.fixture
def use(
    request: pytest.FixtureRequest, served_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """`use("vllm")`: both models of that kind of server from now on."""

    def choose(server: str) -> None:
        address = request.getfixturevalue(server)
        dialect, prompt = DIALECTS[server]
        settings = {"EMBED_URL": address("embedding"), "EMBED_MODEL": "model", "RERANK_MODEL": "model"}
        settings |= {"RERANK_URL": address("reranker"), "RERANK_DIALECT": dialect, "RERANK_PROMPT": prompt}
        settings |= {"EMBED_TOKENIZER": str(served_folders["embedding"]), "SERVER_TIMEOUT": "300"}
        settings |= {"RERANK_TOKENIZER": str(served_folders["reranker"])}
        for name, value in settings.items():
            monkeypatch.setenv(f"QWEN3_RAG_{name}", value)

    return choose


def call(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else done.stderr


@pytest.mark.parametrize("server", ["llama_cpp", "vllm"])
def test_every_command(server: str, use: Callable[[str], None], served_folders: dict[str, Path]) -> None:
    here = RagConfig(
        uri="./here.db",
        embed_model=str(served_folders["embedding"]),
        rerank_model=str(served_folders["reranker"]),
        device="cpu",
        dtype="float32",
    )
    with Session(here) as session:
        session.ingest(["docs"])
        expected = session.search(QUESTION)
    use(server)
    assert call("ingest", "docs", "--json")["written"] == len(WORDS) * 20
    for command in ("search", "compare"):
        found = call(command, QUESTION, "--json")
        for stage in ("dense", "reranked"):
            rows = getattr(expected, stage)
            assert [row["node_id"] for row in found[stage]] == [row.node_id for row in rows]
            assert [row["score"] for row in found[stage]] == pytest.approx([row.score for row in rows], abs=2e-5)
    with OpenAIServer([Reply("In a box [1].")]) as llm:
        asked = call("ask", QUESTION, "--llm", "m", "--llm-base-url", llm.url, "--json")
    assert asked["answer"] == "In a box [1]."
    assert call("evaluate", "beir", "--top-k", "4", "--json", "--quiet")["questions"] == len(WORDS)


def test_a_collection_is_used_through_any_server_of_its_model(
    use: Callable[[str], None], served_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("llama_cpp")
    call("ingest", "docs")
    first = call("search", QUESTION, "--json")
    use("vllm")
    assert call("ingest", "docs", "--json")["written"] == 0
    second = call("search", QUESTION, "--json")
    assert [row["node_id"] for row in second["dense"]] == [row["node_id"] for row in first["dense"]]
    other = make_checkpoint(tmp_path / "other", "embedding", SHAPE, seed=77)
    with ModelServer("vllm", embedder=other) as server:
        monkeypatch.setenv("QWEN3_RAG_EMBED_URL", server.url)
        monkeypatch.setenv("QWEN3_RAG_EMBED_TOKENIZER", str(other))
        assert "another model behind an equal name" in call("search", QUESTION, "--json", code=2)
