"""The migration page does what it says: its Python blocks run one after another, its commands too."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "examples" / "MIGRATION.md"
STAND_INS = {"Qwen/Qwen3-Embedding-0.6B": "tiny", "Qwen/Qwen3-Reranker-0.6B": "tiny", "0.6B": "tiny"}


def blocks(kind: str) -> list[str]:
    """The page's blocks of one kind, the published models replaced by the bundled pair."""
    text = PAGE.read_text()
    for name, stand_in in STAND_INS.items():
        text = text.replace(name, stand_in)
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.mark.usefixtures("workplace")
def test_the_page_runs_from_top_to_bottom() -> None:
    assert len(blocks("python")) == 4
    names: dict[str, object] = {}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"{PAGE.name} block {number}", "exec"), names)
    names["store"].close()  # type: ignore[attr-defined]
    for line in blocks("bash")[0].splitlines():
        command = [str(Path(sys.executable).parent / "qwen3-rag"), *shlex.split(line)[1:]]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "Where is data kept?" in done.stdout
