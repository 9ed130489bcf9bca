"""Every example runs as it is, prints what its last comment shows, and is short enough to read in one go."""

import os
import re
import runpy
import sys
from pathlib import Path

import pytest
from llama_index.core import Settings
from llama_index.core.instrumentation import get_dispatcher
from support.openai_server import OpenAIServer

EXAMPLES = Path(__file__).parents[2] / "examples"
ELSEWHERE = ("tutorial.py", "crash_loop.py")
"""Run by the pipeline's tests."""
FILES = sorted(path for path in EXAMPLES.glob("*.py") if path.name not in ELSEWHERE)


@pytest.fixture
def environment(workplace: Path, language_model: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, a language model on loopback under OpenAI's own variables; what is process-wide is put back."""
    monkeypatch.setenv("OPENAI_API_BASE", language_model.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    scripts = Path(sys.executable).parent  # where qwen3-rag is, also when the environment is not activated
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    for name in ("_llm", "_embed_model"):
        monkeypatch.setattr(Settings, name, None)
    root = get_dispatcher()
    for handlers in ("span_handlers", "event_handlers"):
        monkeypatch.setattr(root, handlers, list(getattr(root, handlers)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_example_prints_what_it_shows(path: Path, environment: None, capfd: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    printed = [line.rstrip() for line in capfd.readouterr().out.splitlines() if line.strip()]
    assert printed == shown(path), "the comment at the end of the example is not what it prints"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_example_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 40
    assert text.startswith('"""')
    assert shown(path)


def test_the_index_lists_every_example() -> None:
    listed = set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))
    assert {path.name for path in FILES} <= listed


def shown(path: Path) -> list[str]:
    """The comment at the end of the file, a line each."""
    lines = path.read_text().rstrip().splitlines()
    start = len(lines)
    while lines[start - 1].startswith("#"):
        start -= 1
    return [line.removeprefix("#").strip() for line in lines[start:] if line.removeprefix("#").strip()]
