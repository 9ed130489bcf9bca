"""Everything the README shows is run: its Python blocks with the small bundled pair, its commands against the CLI.

A Python block runs by itself in an empty folder, with the official models' names replaced by "tiny". An HTML comment
on the line before a block changes that:

    <!-- continues -->           the block goes on after the one before it, in the same process
    <!-- not run: REASON -->     the block is only compiled, and skipped with that reason

Blocks that make a virtual environment are read, and run only with QWEN3_RUN_README_INSTALL=1.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from qwen3_inference.hub import tiny_folder

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)
OFFICIAL = re.compile(r"""(["'])Qwen/Qwen3-(?:Embedding|Reranker)-[\d.]+B\1""")


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    code: str
    note: str

    def __str__(self) -> str:
        return f"line-{self.line}"


def blocks(language: str) -> list[Block]:
    """The README's blocks of a language, a continuing one with what comes before it."""
    text, found = README.read_text(encoding="utf-8"), []
    for match in BLOCK.finditer(text):
        if match["language"] == language:
            code, note = match["code"], match["note"] or ""
            if note == "continues" and found:
                code = found[-1].code + code
            found.append(Block(text.count("\n", 0, match.start("code")), language, code, note))
    return found


def commands() -> list[tuple[int, str]]:
    """Each command line of the README's bash blocks, without prompts and comments, joined over backslashes."""
    lines: list[tuple[int, str]] = []
    for block in blocks("bash"):
        written = [line.strip() for line in block.code.replace("\\\n", " ").splitlines()]
        lines += [(block.line, line) for line in written if line and not line.startswith("#")]
    return lines


INSTALLS = [command for _, command in commands() if "-m venv" in command]
CALLS = [(line, command) for line, command in commands() if "-m venv" not in command and "qwen3-rag " in command]


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_python_block_runs(block, tmp_path):
    compile(block.code, f"README.md:{block.line}", "exec")
    if block.note.startswith("not run: "):
        pytest.skip(block.note.removeprefix("not run: "))
    if not (tiny_folder("embedding") / "config.json").is_file():
        pytest.skip("the bundled pair is not in this checkout")
    script = tmp_path / "block.py"
    script.write_text(OFFICIAL.sub(r"\1tiny\1", block.code), encoding="utf-8")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": ""}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"README.md:{block.line}\n{done.stdout}\n{done.stderr}"


def test_no_block_is_exempt_without_a_reason():
    notes = [block.note for language in ("python", "bash") for block in blocks(language)]
    assert all(note == "" or note == "continues" or re.fullmatch("not run: .{10,}", note) for note in notes)


def test_the_two_install_commands_are_one_pasted_line_each_from_a_bare_python():
    assert len(INSTALLS) == 2
    assert all(command.startswith("python3 -m venv ") and "torch==" in command for command in INSTALLS)
    assert INSTALLS[0].endswith("qwen3-rag demo")
    assert "'.[rag]'" in INSTALLS[0]
    assert "[test]" in INSTALLS[1]
    assert re.search(r"pytest( -q)?$", INSTALLS[1])


@pytest.mark.skipif(os.environ.get("QWEN3_RUN_README_INSTALL") != "1", reason="set QWEN3_RUN_README_INSTALL=1")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", INSTALLS, ids=["demo", "tests"])
def test_an_install_command_works_in_a_clone(command, tmp_path):
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run(["bash", "-c", command], cwd=tmp_path / "clone", env=clean, check=True)


@pytest.mark.parametrize(("line", "command"), CALLS, ids=lambda value: str(value)[:40])
def test_a_command_and_its_options_exist(line, command):
    words = shlex.split(re.split(r"[|>]", command[command.index("qwen3-rag ") :])[0])[1:]
    subcommand = next((word for word in words if not word.startswith("-")), "")
    executable = Path(sys.executable).with_name("qwen3-rag")
    options = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [executable, *([subcommand] if subcommand else []), "--help"],
        env=os.environ | options,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"README.md:{line}: {subcommand!r} is no command\n{done.stderr}"
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in done.stdout, f"README.md:{line}: {subcommand} has no {word}"


def test_files_that_the_readme_names_are_there():
    text = README.read_text(encoding="utf-8")
    linked = {target for target in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in target}
    run = set(re.findall(r"\b((?:examples|tests|integrations|pipelines)/[\w./-]+\.\w+)", text))
    missing = sorted(name for name in linked | run if not (ROOT / name).exists())
    assert missing == []
