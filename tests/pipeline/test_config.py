"""Where settings come from, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS
from qwen3_rag.config import RagConfig, load_config, shown_settings
from qwen3_rag.errors import ConfigError
from qwen3_rag.models import load_models


def test_arguments_beat_environment_beats_file_beats_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("qwen3_rag.toml").write_text('top_k = 20\ntop_n = 4\ncollection = "from_file"\n')
    monkeypatch.setenv("QWEN3_RAG_TOP_K", "30")
    monkeypatch.setenv("QWEN3_RAG_TOP_N", "5")
    config = load_config({"top_k": 40})
    assert (config.top_k, config.top_n, config.collection, config.llm) == (40, 5, "from_file", "gpt-4o")


def test_the_file_is_looked_up_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "no-config" / "qwen3-rag"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("top_k = 11\n")
    assert load_config().top_k == 11
    Path("qwen3_rag.toml").write_text("top_k = 12\n")
    assert load_config().top_k == 12
    (tmp_path / "named.toml").write_text("top_k = 13\n")
    monkeypatch.setenv("QWEN3_RAG_CONFIG", str(tmp_path / "named.toml"))
    assert load_config().top_k == 13


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"top_k": 0}, ["top_k", "0", "1"]),
        ({"top_k": 20_000}, ["top_k", "20000", "16384"]),
        ({"top_k": 2, "top_n": 3}, ["top_n=3", "top_k=2", "raise top_k or lower top_n"]),
        ({"uri": "data.sqlite"}, ["data.sqlite", ".db", "http"]),
        ({"collection": "my docs"}, ["'my docs'", "underscores"]),
        ({"mode": "fuzzy"}, ["mode", "fuzzy", "dense", "hybrid"]),
        ({"embed_model": " "}, ["empty", "tiny"]),
        ({"chunk_size": 100, "chunk_overlap": 100}, ["chunk_overlap=100", "lower"]),
        ({"dimensions": -1}, ["dimensions", "-1"]),
        ({"color": "red"}, ["'color'", "not a setting"]),
        ({"llm_timeout": 0}, ["llm_timeout", "0"]),
    ],
)
def test_a_wrong_setting_is_named_with_value_and_bound(settings: dict[str, object], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings)
    assert [word for word in said if word not in str(caught.value)] == []


def test_a_broken_or_missing_file_is_named(tmp_path: Path) -> None:
    Path("qwen3_rag.toml").write_text("top_k = = 3")
    with pytest.raises(ConfigError, match=r"qwen3_rag\.toml"):
        load_config()
    Path("qwen3_rag.toml").write_text("colour = 1")
    with pytest.raises(ConfigError, match="colour"):
        load_config()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_TOKEN", "hush-hush")
    config = load_config({"llm_api_key": "also-hush"})
    assert "hush" not in repr(config) + str(shown_settings(config)) + config.model_dump_json()
    assert shown_settings(config)["token"] == "set"
    with pytest.raises(ConfigError) as caught:
        load_config({"token": ["hush"]})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("embed", "rerank", "name"),
    [
        ("tiny", "same", "tiny"),
        ("0.6B", "same", "Qwen/Qwen3-Reranker-0.6B"),
        ("8b", "none", None),
        ("tiny", "4B", "Qwen/Qwen3-Reranker-4B"),
        ("Qwen/Qwen3-Embedding-4B", "same", "Qwen/Qwen3-Reranker-4B"),
    ],
)
def test_the_reranker_follows_the_embedder(embed: str, rerank: str, name: str | None) -> None:
    assert RagConfig(embed_model=embed, rerank_model=rerank).reranker_name == name


def test_a_local_pair_finds_its_sibling(tmp_path: Path) -> None:
    for kind in ("My-Embedding", "My-Reranker", "alone"):
        (tmp_path / kind).mkdir()
    config = RagConfig(embed_model=str(tmp_path / "My-Embedding"))
    assert config.reranker_name == str(tmp_path / "My-Reranker")
    with pytest.raises(ConfigError, match="--rerank-model none"):
        _ = RagConfig(embed_model=str(tmp_path / "alone")).reranker_name


def test_tiny_is_a_name_also_beside_a_folder_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert RagConfig(embed_model="tiny").reranker_name == "tiny"


def test_tokens_computed_at_once_reach_both_models() -> None:
    models = load_models(RagConfig(embed_model="tiny", max_batch_tokens=512))
    assert (models.embed.max_batch_tokens, models.rerank.max_batch_tokens) == (512, 512)
    as_they_are = load_models(RagConfig(embed_model="tiny"))
    assert as_they_are.embed.max_batch_tokens == as_they_are.rerank.max_batch_tokens == DEFAULT_MAX_BATCH_TOKENS
    with pytest.raises(ConfigError, match="max_batch_tokens"):
        load_config({"max_batch_tokens": 0})
