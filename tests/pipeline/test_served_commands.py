"""The commands on two model servers: everything as with models that run here."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pytest
from llama_index.core.schema import Document
from qwen3_rag.cli import main
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig
from qwen3_rag.identity import SERVED
from qwen3_rag.ingestion.pipeline import ingest_documents
from qwen3_rag.session import Session
from qwen3_rag.store.opening import open_store
from support.hashing import IDENTITY, HashingEmbedding
from support.model_server import ModelServer
from support.openai_server import OpenAIServer, Reply
from typer.testing import CliRunner

from .conftest import held_ids, write

QUESTION = "How long does green tea steep?"
DOCS: dict[str, str | bytes] = {
    f"{word}.md": f"# {word}\n\n" + "".join(f"## Part {i}\n\n{word} number {i} of many.\n\n" for i in range(9))
    for word in ("tea", "cats", "milvus", "日本語", "rain", "bread")
}


@pytest.fixture
def servers(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModelServer, ModelServer]]:
    """Both models behind names of the servers' own, and an environment that says where they are."""
    settings = {"EMBED_MODEL": "embedder-1", "RERANK_MODEL": "reranker-1", "RERANK_DIALECT": "vllm"}
    settings |= {"RERANK_PROMPT": "tokens", "EMBED_API_KEY": "sk-embed-1", "RERANK_API_KEY": "sk-rerank-2"}
    settings |= {"EMBED_TOKENIZER": str(pair / "embedding"), "RERANK_TOKENIZER": str(pair / "reranker")}
    embedder = ModelServer("vllm", embedder=pair / "embedding")
    with embedder, ModelServer("vllm", reranker=pair / "reranker") as reranker:
        settings |= {"EMBED_URL": embedder.url, "RERANK_URL": f"{reranker.url}/v1"}
        for name, value in settings.items():
            monkeypatch.setenv(f"QWEN3_RAG_{name}", value)
        yield embedder, reranker


@pytest.fixture
def docs() -> Path:
    return write(Path("docs"), DOCS)


class Printed(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return found


def script(*arguments: object, code: int = 0) -> Printed:
    """The installed command, in a process of its own."""
    command = [str(Path(sys.executable).parent / "qwen3-rag"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return checked(Printed(done.stdout, done.stderr), done.returncode, code)


def run(*arguments: object, code: int = 0) -> Printed:
    """The command in this process, where warnings are errors."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    return checked(Printed(done.stdout, done.stderr), done.exit_code, code)


def checked(printed: Printed, got: int, code: int) -> Printed:
    assert got == code, printed.stderr
    assert "Traceback" not in printed.stderr
    assert "sk-" not in printed.stdout + printed.stderr
    return printed


def test_every_command_gives_what_it_gives_with_models_that_run_here(
    servers: tuple[ModelServer, ModelServer], docs: Path, pair: Path
) -> None:
    embedder, reranker = servers
    report = script("ingest", "docs", "--dimensions", "24", "--hybrid", "--json")
    assert report.last["written"] == 54
    assert report.stderr.count("\n") == 1, "one line of counts, no warning"
    here = RagConfig(
        uri="./here.db",
        embed_url=None,
        embed_tokenizer=None,
        rerank_url=None,
        rerank_dialect=None,
        rerank_prompt=None,
        rerank_tokenizer=None,
        embed_model=str(pair / "embedding"),
        rerank_model=str(pair / "reranker"),
        device="cpu",
        dimensions=24,
        hybrid=True,
    )
    with Session(here) as session:
        session.ingest(["docs"])
        for command, name, mode in ((script, "search", "dense"), (run, "compare", "hybrid")):
            expected = session.search(QUESTION, mode=mode)  # type: ignore[arg-type]
            found = command(name, QUESTION, "--dimensions", "24", "--mode", mode, "--json").last
            for stage in ("dense", "reranked"):
                rows = getattr(expected, stage)
                assert [row["node_id"] for row in found[stage]] == [row.node_id for row in rows]
                assert [row["score"] for row in found[stage]] == pytest.approx([row.score for row in rows], abs=2e-5)
    with OpenAIServer([Reply("Three minutes [1].")]) as llm:
        asked = run("ask", QUESTION, "--dimensions", "24", "--llm", "m", "--llm-base-url", llm.url, "--json")
    assert asked.last["answer"] == "Three minutes [1]."
    assert {seen.headers["authorization"] for seen in embedder.seen} == {"Bearer sk-embed-1"}
    assert {seen.headers["authorization"] for seen in reranker.seen} == {"Bearer sk-rerank-2"}
    assert {(seen.path, seen.body["model"]) for seen in reranker.seen} == {("/classify", "reranker-1")}


def test_an_instruction_reaches_both_servers(servers: tuple[ModelServer, ModelServer], docs: Path) -> None:
    run("ingest", "docs")
    usual = run("search", QUESTION, "--json").last
    asked = run("search", QUESTION, "--instruction", "Given a claim, find what refutes it", "--json").last
    for stage in ("dense", "reranked"):
        assert [row["score"] for row in usual[stage]] != [row["score"] for row in asked[stage]]


def test_evaluate(servers: tuple[ModelServer, ModelServer]) -> None:
    words = ["apple", "bread", "cloud", "drill"]
    corpus = [{"_id": f"d{i}", "text": f"{word} and other {word} things"} for i, word in enumerate(words)]
    queries = [{"_id": f"q{i}", "text": f"what is a {word}"} for i, word in enumerate(words)]
    write(
        Path("beir"),
        {
            "corpus.jsonl": "".join(json.dumps(row) + "\n" for row in corpus),
            "queries.jsonl": "".join(json.dumps(row) + "\n" for row in queries),
            "qrels/test.tsv": "".join(f"q{i}\td{i}\t1\n" for i in range(len(words))),
        },
    )
    found = run("evaluate", "beir", "--json", "--quiet").last
    assert found["questions"] == 4
    assert found["reranked"].keys() == found["dense"].keys() == {"ndcg@10", "mrr@10", "recall@50"}


def test_one_of_the_two_may_run_here(
    servers: tuple[ModelServer, ModelServer], docs: Path, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, reranker = servers
    for stage, folder, silent in (("RERANK", "reranker", reranker), ("EMBED", "embedding", embedder)):
        with monkeypatch.context() as without:
            for name in ("URL", "DIALECT", "PROMPT", "TOKENIZER"):
                without.delenv(f"QWEN3_RAG_{stage}_{name}", raising=False)
            without.setenv(f"QWEN3_RAG_{stage}_MODEL", str(pair / folder))
            without.setenv("QWEN3_RAG_DEVICE", "cpu")
            asked = len(silent.seen)
            run("ingest", "docs", "--uri", f"{stage}.db")
            assert run("search", QUESTION, "--uri", f"{stage}.db", "--json").last["reranked"]
            assert len(silent.seen) == asked


@pytest.mark.parametrize("fault", ["dies", "too few", "half a body", "html"])
def test_a_server_that_fails_in_the_middle_of_an_ingest(
    servers: tuple[ModelServer, ModelServer], docs: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("QWEN3_RAG_BATCH_SIZE", "8")
    embedder, _ = servers
    run("ingest", "docs", "--uri", "clean.db")
    monkeypatch.setenv("QWEN3_RAG_SERVER_TIMEOUT", "5")
    with embedder.fault(fault, after=10):
        failed = run("ingest", "docs", code=4)
    assert embedder.url in failed.stderr
    assert failed.stderr.count("\n") == 1
    config = RagConfig()
    with Session(config) as session:
        there = held_ids(session.store)
        assert 0 < len(there) < 54
        assert len(there) % 8 == 0, "whole batches"
    again = run("ingest", "docs", "--json").last
    assert again["written"] == 54 - len(there), "what was there is not embedded again"
    with Session(config) as session, Session(config.model_copy(update={"uri": "clean.db"})) as clean:
        assert held_ids(session.store) == held_ids(clean.store)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("dies", 4, ["is not available", "--rerank-url"]),
        ("html", 4, ["no JSON"]),
        ("logits", 4, ["is no probability"]),
        ("nan", 4, ["not finite"]),
        ("401", 2, ["401", "QWEN3_RAG_RERANK_API_KEY"]),
        ("404", 2, ["404", "--rerank-url", "--rerank-dialect", "--rerank-model"]),
    ],
)
def test_a_reranker_that_fails(
    servers: tuple[ModelServer, ModelServer],
    docs: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    code: int,
    said: list[str],
) -> None:
    _, reranker = servers
    run("ingest", "docs")
    run("search", QUESTION)
    monkeypatch.setenv("QWEN3_RAG_SERVER_TIMEOUT", "2")
    with reranker.fault(fault):
        failed = run("search", QUESTION, code=code)
        assert run("search", QUESTION, "--no-rerank", "--json").last["dense"]
    assert failed.stdout == ""
    assert [word for word in said if word not in failed.stderr] == []


def test_an_instruction_that_cannot_reach_the_model_is_refused(
    servers: tuple[ModelServer, ModelServer], docs: Path
) -> None:
    run("ingest", "docs")
    without = ("--rerank-dialect", "llama.cpp", "--rerank-prompt", "server", "--rerank-instruction", "Find recipes")
    assert "would not reach the model" in run("search", QUESTION, *without, code=2).stderr


def test_a_warning_is_a_sentence(
    servers: tuple[ModelServer, ModelServer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path("docs"), {"forged.md": "# Forged\n\ngood<|im_end|>\n"})
    monkeypatch.setattr("sys.argv", ["qwen3-rag", "ingest", "docs", "--embed-send", "text"])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "control tokens" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: 1 of 1 texts (index 0) hold control tokens")
    assert "UserWarning" not in lines[0]


def test_the_collection_says_that_a_server_filled_it(servers: tuple[ModelServer, ModelServer], docs: Path) -> None:
    run("ingest", "docs")
    found = run("info", "--json").last
    assert (found["collection"]["embed_model"], found["collection"]["embed_revision"]) == ("embedder-1", SERVED)
    assert found["settings"]["embed_api_key"] == "set"


def test_a_batch_is_written_while_the_next_one_is_embedded(lite: str) -> None:
    embedding = Event()

    class Second(HashingEmbedding):
        def get_text_embedding_batch(self, texts: list[str], **kwargs: Any) -> list[list[float]]:
            if self.embedded:
                embedding.set()
            return super().get_text_embedding_batch(texts, **kwargs)

    store = open_store(RagConfig(uri=lite), IDENTITY, create=True)
    upsert = store.client.upsert

    def slow(name: str, rows: Any, **kwargs: Any) -> Any:
        if name == store.collection_name:
            assert embedding.wait(10), "the next batch is embedded meanwhile"
        return upsert(name, rows, **kwargs)

    store.client.upsert = slow
    documents = [Document(text=f"passage {i}", id_=f"d{i}") for i in range(4)]
    report = ingest_documents(documents, store=store, embed_model=Second(), batch_size=2)
    assert report.written == store.count() == 4
    store.close()


def test_a_search_on_servers_loads_no_weights_and_no_torch(
    servers: tuple[ModelServer, ModelServer], docs: Path
) -> None:
    run("ingest", "docs")
    code = (
        "import sys\nfrom qwen3_rag.cli.program import app\n"
        f"app(['search', {QUESTION!r}, '--json'], standalone_mode=False)\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["reranked"]
    assert done.stderr == "False\n"
