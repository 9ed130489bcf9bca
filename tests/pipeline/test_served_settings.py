"""The settings of models on servers: what goes together, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from qwen3_inference.remote.embedding import SENDS
from qwen3_inference.remote.embedding_dialects import EMBEDDING_DIALECTS
from qwen3_inference.remote.rerank_dialects import RERANK_DIALECTS
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig, load_config, shown_settings
from qwen3_rag.config_models import Prompt, Send
from qwen3_rag.errors import ConfigError
from qwen3_rag.model_servers import in_options, served_reranker
from qwen3_rag.models import load_models, load_reranker
from support.model_answers import vector
from support.model_server import ModelServer
from typer.testing import CliRunner

EMBED, RERANK = {"embed_url": "http://localhost:8000/v1"}, {"rerank_url": "http://localhost:8001"}
VLLM = {**RERANK, "rerank_dialect": "vllm"}


def test_the_settings_know_what_the_engines_know() -> None:
    assert [load_config({**EMBED, "embed_dialect": one}).embed_dialect for one in EMBEDDING_DIALECTS]
    assert [load_config({**RERANK, "rerank_dialect": one}).rerank_dialect for one in RERANK_DIALECTS]
    assert get_args(Send) == SENDS
    assert set(get_args(Prompt)) == {prompt for dialect in RERANK_DIALECTS.values() for prompt in dialect.ways}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"embed_dialect": "tei"}, ["embed_dialect='tei'", "--embed-url"]),
        ({"embed_send": "text"}, ["embed_send='text'", "--embed-url"]),
        ({"embed_tokenizer": "folder"}, ["embed_tokenizer='folder'", "--embed-url"]),
        ({"rerank_dialect": "vllm"}, ["rerank_dialect='vllm'", "--rerank-url"]),
        ({"rerank_prompt": "tokens", **EMBED}, ["rerank_prompt='tokens'", "--rerank-url"]),
        ({"rerank_tokenizer": "folder"}, ["rerank_tokenizer='folder'", "--rerank-url"]),
        (RERANK, ["rerank_url", "--rerank-dialect", "vllm", "llama.cpp"]),
        ({**RERANK, "rerank_dialect": "ollama"}, ["rerank_dialect", "ollama", "vllm"]),
        ({**EMBED, "embed_dialect": "vllm"}, ["embed_dialect", "vllm", "openai"]),
        ({**EMBED, "embed_revision": "main"}, ["embed_revision", "embed_url", "leave one of them out"]),
        ({**VLLM, "rerank_revision": "main"}, ["rerank_revision", "rerank_url"]),
        ({"embed_url": "localhost:8000"}, ["embed_url", "localhost:8000", "http://"]),
        ({"embed_url": "http://:80:90"}, ["embed_url", "http://localhost:8000"]),
        ({"embed_url": "http://host/v1?key=1"}, ["embed_url", "host", "query"]),
        ({**EMBED, "server_timeout": 0}, ["server_timeout", "0"]),
    ],
)
def test_what_does_not_go_together_is_named_with_its_remedy(settings: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings)
    assert [word for word in said if word not in str(caught.value)] == []


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="QWEN3_RAG_EMBED_API_KEY") as caught:
        load_config({"embed_url": "https://me:hunter2@host/v1"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (VLLM, ["--rerank-dialect 'vllm' needs --rerank-prompt 'tokens'", "'client'", "'server'"]),
        ({**VLLM, "rerank_dialect": "sglang"}, ["--rerank-prompt 'tokens'", "'server'"]),
        ({**VLLM, "rerank_dialect": "tei", "rerank_prompt": "server"}, ["not possible", "it takes --rerank-prompt"]),
        ({**VLLM, "rerank_prompt": "tokens", "rerank_model": "mine"}, ["--rerank-prompt 'tokens'", "--rerank-model"]),
    ],
)
def test_who_writes_the_prompt_is_never_guessed(settings: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_reranker(load_config({"embed_model": "tiny", **settings}))
    assert [word for word in said if word not in str(caught.value)] == []


def test_ids_are_not_sent_where_no_tokenizer_is_known_or_none_are_taken() -> None:
    for more in ({"embed_model": "mine"}, {"embed_dialect": "tei"}):
        config = load_config({"embed_model": "tiny", **EMBED, "embed_send": "tokens", **more})
        with pytest.raises(ConfigError, match="--embed-send 'tokens'"):
            load_models(config, rerank=False)


def test_keys_come_from_the_environment_and_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_EMBED_API_KEY", "sk-embed-1")
    monkeypatch.setenv("QWEN3_RAG_RERANK_API_KEY", "sk-rerank-2")
    config = load_config({"embed_model": "tiny"})  # not wrong without a server
    assert shown_settings(config)["embed_api_key"] == shown_settings(config)["rerank_api_key"] == "set"
    served = load_config({"embed_model": "tiny", "rerank_url": "https://host", "rerank_dialect": "tei"})
    shown = (
        repr(served) + str(shown_settings(served)) + repr(load_reranker(served)) + repr(served_reranker(served, "m"))
    )
    assert "sk-" not in shown
    plain = load_config({"embed_model": "tiny", "embed_url": "http://elsewhere.example/v1"})
    with pytest.raises(ConfigError, match="QWEN3_RAG_EMBED_API_KEY would travel unencrypted"):
        load_models(plain, rerank=False)
    info = CliRunner().invoke(app, ["info", "--json"])
    assert "sk-" not in info.stdout + info.stderr
    assert "--embed-api-key" not in CliRunner().invoke(app, ["search", "--help"]).stdout


def test_short_names_are_the_hubs_and_same_is_the_counterpart() -> None:
    served = RagConfig(**EMBED, **VLLM, rerank_prompt="tokens")
    assert (served.embedder_name, served.reranker_name) == ("Qwen/Qwen3-Embedding-0.6B", "Qwen/Qwen3-Reranker-0.6B")
    assert RagConfig(**EMBED, embed_model="4b").reranker_name == "Qwen/Qwen3-Reranker-4B"
    assert RagConfig(**EMBED, embed_model="qwen3-embedding:0.6b", rerank_model="tiny").reranker_name == "tiny"
    with pytest.raises(ConfigError, match="--rerank-model"):
        _ = RagConfig(**EMBED, embed_model="qwen3-embedding:0.6b").reranker_name


@pytest.fixture
def embeddings(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    vector(pair / "embedding", (1, 2))  # loaded before a test counts seconds
    with ModelServer("vllm", embedder=pair / "embedding") as server:
        monkeypatch.setenv("QWEN3_RAG_EMBED_URL", server.url)
        yield server


def test_a_wrong_setting_is_found_before_a_server_is_asked(embeddings: ModelServer) -> None:
    with pytest.raises(ConfigError, match="--rerank-prompt"):
        load_models(load_config({"rerank_model": "tiny", **VLLM}))
    assert embeddings.seen == []


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("dies", 4, ["is not available", "--embed-url", "QWEN3_RAG_SERVER_TIMEOUT"]),
        ("hangs", 4, ["no answer within", "QWEN3_RAG_SERVER_TIMEOUT=2"]),
        ("html", 4, ["text/html", "no JSON", "nginx"]),
        ("half a body", 4, ["is not available"]),
        ("too few", 4, ["1"]),
        ("nan", 4, ["not finite", "bfloat16"]),
        ("429 for long", 4, ["429"]),
        ("500", 4, ["500"]),
        ("401", 2, ["401", "QWEN3_RAG_EMBED_API_KEY"]),
        ("404", 2, ["404", "--embed-url", "--embed-dialect", "--embed-model"]),
        ("redirect", 2, ["redirects", "--embed-url"]),
    ],
)
@pytest.mark.parametrize("command", [("ingest", "docs"), ("search", "tea?")], ids=["ingest", "search"])
def test_what_is_wrong_with_a_server_has_its_exit_code_and_no_traceback(
    command: tuple[str, ...], fault: str, code: int, said: list[str], embeddings: ModelServer, monkeypatch: Any
) -> None:
    Path("docs").mkdir()
    Path("docs/tea.md").write_text("# Tea\n\nSteep it.")
    if command[0] == "search":
        assert CliRunner().invoke(app, ["ingest", "docs"]).exit_code == 0
    monkeypatch.setenv("QWEN3_RAG_SERVER_TIMEOUT", "2")
    with embeddings.fault(fault):
        result = CliRunner().invoke(app, [*command, "--rerank-model", "none"])
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert [word for word in said if word not in result.stderr] == []
    assert not any(name in result.stderr for name in ("base_url", "api_key ", "timeout=2 "))


def test_nobody_there() -> None:
    result = CliRunner().invoke(app, ["ingest", ".", "--embed-url", "http://127.0.0.1:9", "--embed-model", "tiny"])
    assert result.exit_code == 4, result.stderr
    assert "http://127.0.0.1:9/v1/embeddings is not available" in result.stderr


def test_a_message_in_the_words_of_the_settings() -> None:
    said = (
        "dialect='vllm' needs prompt='client'; tokenizer= the folder; raise timeout=60 or lower concurrency; base_url"
    )
    assert in_options(said, "rerank") == (
        "--rerank-dialect 'vllm' needs --rerank-prompt 'client'; --rerank-tokenizer the folder; raise "
        "QWEN3_RAG_SERVER_TIMEOUT; --rerank-url"
    )
