"""`qwen3-rag verify`: table, JSON, exit codes, `--write` and `--against`."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qwen3_inference.verify import EMBEDDING_CHECKS, RERANK_CHECKS
from qwen3_rag.cli.program import app
from support.fault_server import FaultServer
from typer.testing import CliRunner, Result


@pytest.fixture
def serve(embedding_folder: Path, reranker_folder: Path) -> Iterator[Callable[..., FaultServer]]:
    running: list[FaultServer] = []

    def start(wrong: str = "", **settings: object) -> FaultServer:
        settings = {"embedder": embedding_folder, "reranker": reranker_folder, "template": True, **settings}
        running.append(FaultServer(wrong=wrong, **settings).__enter__())  # type: ignore[arg-type]
        return running[-1]

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def verify(embedding_folder: Path, reranker_folder: Path) -> Callable[..., Result]:
    def run(server: FaultServer | None, *arguments: str, rerank: bool = True, tokenizers: bool = True) -> Result:
        options = ["verify", "--no-truncation"]
        if server is not None:
            options += ["--embed-url", server.url, "--embed-model", "model"]
            options += ["--embed-tokenizer", str(embedding_folder)] if tokenizers else []
        if server is not None and rerank:
            options += ["--rerank-url", server.url, "--rerank-model", "model", "--rerank-dialect", "vllm"]
            options += ["--rerank-prompt", "server"]
            options += ["--rerank-tokenizer", str(reranker_folder)] if tokenizers else []
        return CliRunner().invoke(app, [*options, *arguments], env={"COLUMNS": "200"})

    return run


def weights(embedder: Path, reranker: Path) -> list[str]:
    return ["--embed-weights", str(embedder), "--rerank-weights", str(reranker)]


def test_a_right_pair_is_right(serve, verify, embedding_folder, reranker_folder):
    result = verify(serve(), "--json", *weights(embedding_folder, reranker_folder))
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["verdict"] == "right"
    assert [one["check"] for one in found["embedding"]] == list(EMBEDDING_CHECKS)
    assert [one["check"] for one in found["rerank"]] == list(RERANK_CHECKS)
    assert set(found["rerank"][0]) == {"check", "verdict", "found", "remedy"}


def test_a_wrong_one_is_exit_code_5_and_a_table_that_names_it(serve, verify, embedding_folder, reranker_folder):
    result = verify(serve("mean"), *weights(embedding_folder, reranker_folder))
    assert result.exit_code == 5
    assert "mean pooling" in result.stdout
    assert "last-token pooling" in result.stdout
    assert result.stdout.rstrip().endswith("wrong: pooling (embedding)")
    assert "about fifteen short questions" in result.stderr


def test_without_weights_it_is_unknown_and_says_what_decides(serve, verify):
    result = verify(serve(), "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"]) == (0, "unknown")
    assert "--embed-weights" in found["embedding"][0]["remedy"]


def test_one_kind_alone(serve, verify):
    found = json.loads(verify(serve(), "--json", rerank=False).stdout)
    assert found["rerank"] == []


def test_the_default_name_is_no_promise(serve):
    """Without --embed-model the 0.6B's name is sent, and its size is not asked of a server that nobody said runs it."""
    server = serve()
    result = CliRunner().invoke(app, ["verify", "--embed-url", server.url, "--no-truncation", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["verdict"]) == (0, "unknown")
    arguments = ["verify", "--embed-url", server.url, "--embed-model", "0.6B", "--no-truncation", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 5
    assert (
        "32 numbers, those of Qwen/Qwen3-Embedding-0.6B have 1024" in json.loads(result.stdout)["embedding"][0]["found"]
    )


@pytest.mark.parametrize("wrong", ["mean", "no end", "prompt before all", "no think block", "swapped"])
def test_a_file_names_what_the_weights_name(wrong, serve, verify, embedding_folder, reranker_folder, tmp_path):
    file = tmp_path / "expected.json"
    result = verify(None, "--write", str(file), *weights(embedding_folder, reranker_folder))
    assert result.exit_code == 0, result.output
    assert file.stat().st_size < 200_000
    result = verify(serve(), "--json", "--against", str(file), tokenizers=False)
    assert json.loads(result.stdout)["verdict"] == "right", result.output
    result = verify(serve(wrong, ids="refused"), "--json", "--against", str(file))
    found = json.loads(result.stdout)
    named = {one["check"] for one in [*found["embedding"], *found["rerank"]] if one["verdict"] == "wrong"}
    expected = {"mean": "pooling", "no end": "eos", "prompt before all": "prompt", "no think block": "template"}
    assert expected.get(wrong, "labels") in named
    assert result.exit_code == 5


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1, "probes": 3}', "\x00", '{"format": 1}' * 3])
def test_a_file_that_is_none(content, serve, verify, tmp_path):
    file = tmp_path / "expected.json"
    file.write_text(content)
    result = verify(serve(), "--against", str(file))
    assert result.exit_code == 2
    assert "write it again where the weights are" in " ".join(result.stderr.split())


def test_what_contradicts_itself_is_exit_code_2(verify, serve, embedding_folder, tmp_path):
    server = serve()
    for arguments, said in (
        (["--against", "x", "--embed-weights", "tiny"], "stands for weights"),
        (["--write", "x"], "keeps what weights give"),
        (["--embed-weights", str(tmp_path / "nowhere")], "is not a folder"),
    ):
        result = verify(server, *arguments)
        assert result.exit_code == 2, result.output
        assert said in " ".join(result.stderr.split())
    result = verify(None)
    assert result.exit_code == 2
    assert "give --embed-url, --rerank-url or both" in result.stderr


def test_the_table_of_one_is_shown_where_the_other_does_not_answer(serve, verify):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        options = ["--rerank-url", url, "--rerank-dialect", "llama.cpp", "--rerank-model", "model"]
        result = verify(serve(), *options, rerank=False)
    assert result.exit_code == 4
    assert "Embedding: http" in result.stdout


def test_a_long_text_without_an_answer_in_time_is_unknown(serve, embedding_folder):
    server = serve(slow_length=2000)
    arguments = ["verify", "--embed-url", server.url, "--embed-model", "model", "--json"]
    arguments += ["--embed-tokenizer", str(embedding_folder)]
    found = json.loads(CliRunner().invoke(app, arguments, env={"QWEN3_RAG_SERVER_TIMEOUT": "1"}).stdout)
    [truncation] = [one for one in found["embedding"] if one["check"] == "truncation"]
    assert truncation["verdict"] == "unknown"
    assert "QWEN3_RAG_SERVER_TIMEOUT" in truncation["remedy"]


def test_a_server_that_is_not_there_is_exit_code_4(embedding_folder):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        arguments = ["verify", "--embed-url", url, "--embed-model", "m", "--embed-tokenizer", str(embedding_folder)]
        result = CliRunner().invoke(app, arguments, env={"QWEN3_RAG_SERVER_TIMEOUT": "1"})
    assert result.exit_code == 4
    assert "is not available" in result.stderr
