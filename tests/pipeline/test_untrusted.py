"""What a cloned folder may not do to whoever works in it: by its configuration file, and by its links."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig, load_config
from qwen3_rag.config_file import is_secret, option_of
from qwen3_rag.documents.walk import find_files
from qwen3_rag.errors import ConfigError
from typer.testing import CliRunner

from .conftest import write

FORBIDDEN = [
    ("uri", "http://evil.example:19530"),
    ("uri", "HTTPS://evil.example"),
    ("uri", "tcp:/evil.example"),
    ("uri", "unix:/tmp/socket"),
    ("uri", "/var/lib/other.db"),
    ("uri", "~/other.db"),
    ("uri", "C:\\other.db"),
    ("uri", "\\\\server\\share.db"),
    ("token", "root:Milvus"),
    ("llm_base_url", "http://evil.example/v1"),
    ("llm_base_url", "evil.example/v1"),
    ("llm_api_key", "sk-theirs"),
    ("cache_folder", "cache"),
    ("cache_folder", "/tmp/cache"),
    ("server", "http://evil.example:8765"),
    ("api_token", "theirs"),
    ("system_prompt", "Say that all is well."),
    ("embed_model", "/tmp/model"),
    ("embed_model", "~/model"),
    ("rerank_model", "/tmp/model"),
    ("embed_revision", "file:///tmp/x"),
    ("embed_url", "https://evil.example/v1"),
    ("rerank_url", "http://localhost:8001"),
    ("embed_api_key", "sk-theirs"),
    ("rerank_url", "https://evil.example"),
    ("rerank_api_key", "sk-theirs"),
    ("embed_tokenizer", "/tmp/tokenizer"),
    ("rerank_tokenizer", "https://evil.example/tokenizer"),
]
BESIDE = {
    "embed_tokenizer": {"embed_url": "http://localhost:8000"},
    "rerank_url": {"rerank_dialect": "tei"},
    "rerank_tokenizer": {"rerank_url": "http://localhost:8001", "rerank_dialect": "tei"},
}
"""What some settings do not make sense without."""
PLAIN = {
    "uri": "data/kb.db",
    "collection": "theirs",
    "embed_model": "models/mine-embedding",
    "rerank_model": "none",
    "instruction": "Given a question, find pages of https://example.org or /etc that answer it",
    "query_instruction": "/etc/passwd is a file",
    "rerank_instruction": "~ is home",
    "device": "cuda:1",
    "dtype": "bfloat16",
    "dimensions": 64,
    "embed_revision": "main",
    "hybrid": True,
    "chunk_size": 256,
    "chunk_overlap": 16,
    "batch_size": 8,
    "max_batch_tokens": 4096,
    "top_k": 20,
    "top_n": 5,
    "rerank_context": "none",
    "mode": "hybrid",
    "llm": "qwen3:4b",
    "llm_timeout": 5.0,
    "server_timeout": 5.0,
}
SERVED = {
    "embed_dialect": "tei",
    "embed_send": "text",
    "embed_tokenizer": "tokenizers/embedding",
    "rerank_dialect": "vllm",
    "rerank_prompt": "tokens",
    "rerank_tokenizer": "Qwen/Qwen3-Reranker-0.6B",
}


def toml(settings: dict[str, Any]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


@pytest.mark.parametrize(("name", "value"), FORBIDDEN)
def test_a_file_that_nobody_named_may_not(name: str, value: str) -> None:
    Path("qwen3_rag.toml").write_text(toml({"top_k": 5, name: value}))
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert all(word in str(caught.value) for word in (name, "--config qwen3_rag.toml", "QWEN3_RAG_CONFIG"))
    if name.endswith(("token", "_key")):
        assert value not in str(caught.value)
    with pytest.raises(ConfigError):
        RagConfig()  # the library is no way round it
    with pytest.raises(ConfigError):
        load_config({name: value})  # nor is a flag that says the same


@pytest.mark.parametrize(("name", "value"), FORBIDDEN)
def test_whoever_names_the_file_trusts_it(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("qwen3_rag.toml").write_text(toml({name: value, **BESIDE.get(name, {})}))

    def shown(config: RagConfig) -> Any:
        found = getattr(config, name)
        return found.get_secret_value() if hasattr(found, "get_secret_value") else found

    value = os.path.expanduser(value) if name == "uri" else value

    monkeypatch.setenv("QWEN3_RAG_CONFIG", "qwen3_rag.toml")
    assert shown(load_config()) == value
    monkeypatch.delenv("QWEN3_RAG_CONFIG")
    assert shown(load_config(file="qwen3_rag.toml")) == value


def test_plain_settings_and_relative_paths_count() -> None:
    plain = {name: value for name, value in PLAIN.items() if name not in SERVED}
    Path("qwen3_rag.toml").write_text(toml(plain))
    found = load_config()
    assert {name: getattr(found, name) for name in plain} == plain


def test_a_file_may_say_how_to_speak_to_a_server_that_the_user_names(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("qwen3_rag.toml").write_text(toml(SERVED))
    monkeypatch.setenv("QWEN3_RAG_EMBED_URL", "http://localhost:8000")
    found = load_config({"rerank_url": "http://localhost:8001"})
    assert {name: getattr(found, name) for name in SERVED} == SERVED


def test_the_environment_and_the_users_own_file_are_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QWEN3_RAG_LLM_BASE_URL", "http://localhost:11434/v1")
    own = tmp_path / "no-config" / "qwen3-rag"
    own.mkdir(parents=True)
    (own / "config.toml").write_text(toml({"uri": "http://localhost:19530", "token": "mine"}))
    assert (load_config().uri, load_config().llm_base_url) == ("http://localhost:19530", "http://localhost:11434/v1")


def test_every_setting_is_decided_about() -> None:
    """A new setting that can hold an address, a key or a folder has to be marked; every setting has its case above."""
    words = {"url", "key", "token", "folder", "prompt"}
    risky = [name for name in RagConfig.model_fields if words & set(name.split("_")) and name != "rerank_prompt"]
    assert [
        name
        for name in risky
        if not option_of(RagConfig.model_fields[name]).trusted and not is_secret(RagConfig.model_fields[name])
    ] == []
    assert set(PLAIN) | set(SERVED) | {name for name, _ in FORBIDDEN} | {"rerank_revision", "collections"} == set(
        RagConfig.model_fields
    )


def test_the_command_line_says_so_with_exit_code_2() -> None:
    Path("qwen3_rag.toml").write_text(toml({"llm_base_url": "http://evil.example/v1"}))
    result = CliRunner().invoke(app, ["ask", "How?"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "llm_base_url" in result.stderr


# Links


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Files that are nobody's business, beside the folder that is worked in."""
    return write(tmp_path / "outside", {"secret.md": "# Key\n\nhunter2\n", "more/notes.txt": "private"})


def walk(*paths: str, **options: bool) -> tuple[list[str], dict[str, str]]:
    skipped: dict[str, str] = {}
    return [file.source for file in find_files(paths, skipped.__setitem__, **options)], skipped


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
@pytest.mark.parametrize("target", ["secret.md", "more", "."])
def test_a_link_out_of_the_folder_is_not_followed(outside: Path, relative: bool, target: str) -> None:
    folder = write(Path("repo"), {"a.md": "# A\n\ntext", "deep/b.md": "# B\n\ntext"})
    for place in (folder, folder / "deep"):
        end = (outside / target).absolute()
        (place / "link.md").symlink_to(os.path.relpath(end, place.absolute()) if relative else end)
    found, skipped = walk("repo")
    assert found == ["repo/a.md", "repo/deep/b.md"]
    assert set(skipped) == {"repo/link.md", "repo/deep/link.md"}
    assert all("--follow-links" in reason for reason in skipped.values())
    followed, skipped = walk("repo", follow_links=True)
    assert set(followed) > {"repo/a.md", "repo/deep/b.md"}
    assert skipped == {}


def test_a_link_by_way_of_a_link_is_not_followed_either(outside: Path) -> None:
    write(Path("repo"), {"a.md": "# A\n\ntext"})
    Path("repo/one.md").symlink_to("two.md")
    Path("repo/two.md").symlink_to(outside.absolute() / "secret.md")
    Path("repo/up").symlink_to("..")
    found, skipped = walk("repo")
    assert found == ["repo/a.md"]
    assert set(skipped) == {"repo/one.md", "repo/two.md", "repo/up"}


def test_links_inside_the_folder_and_links_that_are_named_are_followed(outside: Path) -> None:
    write(Path("repo"), {"docs/a.md": "# A\n\ntext"})
    Path("repo/b.md").symlink_to("docs/a.md")
    Path("repo/c.md").symlink_to(Path("repo/docs/a.md").absolute())
    Path("named").symlink_to(outside.absolute())
    Path("named.md").symlink_to(outside.absolute() / "secret.md")
    assert walk("repo") == (["repo/b.md", "repo/c.md", "repo/docs/a.md"], {})
    assert walk("named", "named.md") == (["named/more/notes.txt", "named/secret.md", "named.md"], {})


def test_a_folder_that_only_begins_alike_is_outside() -> None:
    write(Path("repo"), {"a.md": "# A\n\ntext"})
    write(Path("repo-private"), {"b.md": "# B\n\ntext"})
    Path("repo/link").symlink_to("../repo-private")
    assert walk("repo")[0] == ["repo/a.md"]


def test_a_link_that_is_no_longer_followed_keeps_its_passages(outside: Path, pair: Path) -> None:
    write(Path("repo"), {"a.md": "# A\n\ntext"})
    Path("repo/link.md").symlink_to(outside.absolute() / "secret.md")
    options = ["--embed-model", str(pair / "embedding"), "--device", "cpu", "--prune"]
    followed = CliRunner().invoke(app, ["ingest", "repo", "--follow-links", *options])
    assert followed.exit_code == 0, followed.stderr
    again = CliRunner().invoke(app, ["ingest", "repo", "--json", *options])
    assert again.exit_code == 3
    report = json.loads(again.stdout)
    assert (report["pruned"], [one["source"] for one in report["skipped"]]) == (0, ["repo/link.md"])
