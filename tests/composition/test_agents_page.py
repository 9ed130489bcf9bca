"""Everything that examples/agents.md shows is run: its Python as one program, its configurations by their readers."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest
from llama_index.core import Settings
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from qwen3_rag import ConfigError
from qwen3_rag.config import load_config
from support import hostile
from support.openai_server import OpenAIServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "examples" / "agents.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)


def blocks(language: str) -> list[str]:
    return [found["code"] for found in BLOCK.finditer(PAGE) if found["language"] == language]


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {found["language"] for found in BLOCK.finditer(PAGE)} == {"python", "json", "toml"}


async def served(folder: Path) -> list[str]:
    """The tools of the server that the page's client configuration starts in a folder."""
    [text] = blocks("json")
    settings = json.loads(text)["mcpServers"]["bakery"]
    with (folder / "log").open("w") as log:
        command = str(Path(sys.executable).parent / settings["command"])
        parameters = StdioServerParameters(command=command, args=settings["args"], cwd=folder, env=dict(os.environ))
        async with stdio_client(parameters, errlog=log) as streams, ClientSession(*streams) as session:
            await session.initialize()
            return [tool.name for tool in (await session.list_tools()).tools]


def test_the_page_does_what_it_says(
    workplace: Path,
    language_model: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", language_model.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr(Settings, "_llm", None)
    names: dict[str, object] = {"__name__": "__main__"}
    for code in blocks("python"):
        exec(compile(code, "agents.md", "exec"), names)
        printed = re.sub(r'id="\w{12}"', 'id="ID"', capsys.readouterr().out)
        printed = re.sub(r'score="[\d.]+"', 'score="SCORE"', printed)
        shown = [line[2:] for line in code.rstrip().split("\n\n")[-1].splitlines()]
        assert printed.rstrip().splitlines() == shown
    assert asyncio.run(served(workplace))[:2] == ["search", "ask"]


def test_the_configuration_counts_where_it_is_named(workplace: Path) -> None:
    [text] = blocks("toml")
    (workplace / "qwen3_rag.toml").write_text(text)
    assert list(load_config(file="qwen3_rag.toml").collections) == ["docs", "papers"]
    with pytest.raises(ConfigError, match="--config"):
        load_config()


def test_the_files_that_it_names_are_there() -> None:
    for name in re.findall(r"`(tests/[\w/.]+)`", PAGE):
        assert (ROOT / name).is_file(), name
    kinds = {name.split("/")[0] for name in hostile.HOSTILE}
    assert kinds == {"injecting", "invisible", "wrapping", "blocking", "huge"}, "the page's table has a row for each"
