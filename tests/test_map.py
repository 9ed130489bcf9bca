"""The pages for contributors name what is there: files, folders, commits, versions, directions of imports."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / ".github" / name for name in ("CONTRIBUTING.md", "SECURITY.md")]
CONTRIBUTING = PAGES[0].read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:\.?[\w-]+/)+[\w.-]*|[\w-]+\.(?:py|md|txt))`")
ROWS = [
    line.strip("| ").split(" | ")
    for line in CONTRIBUTING.partition("## Ten small changes")[2].splitlines()
    if line.startswith("| a")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    names = NAMED.findall(page.read_text(encoding="utf-8"))
    assert len(names) > 3
    known = {path.name for root in ("integrations", "pipelines", "tests") for path in (ROOT / root).rglob("*.py")}
    assert [
        name for name in names if not (ROOT / name).exists() and name not in known and not name.startswith("./")
    ] == []


def test_the_walk_has_ten_changes_each_done_once_as_a_commit() -> None:
    assert len(ROWS) == 10
    log = subprocess.run(["git", "log", "--format=%s"], cwd=ROOT, capture_output=True, text=True, check=False)
    if log.returncode or "Lay out one wheel" not in log.stdout:
        pytest.skip("without the whole history")
    assert [row[3] for row in ROWS if row[3] not in log.stdout.splitlines()] == []


@pytest.mark.parametrize(
    ("package", "may_not_import"),
    [
        ("integrations/qwen3_inference", ("llama_index", "qwen3_rag")),
        ("integrations/llama_index", ("qwen3_rag", "pymilvus")),
        ("integrations/qwen3_conformance", ("qwen3_rag", "qwen3_inference")),
    ],
)
def test_imports_go_one_way(package: str, may_not_import: tuple[str, ...]) -> None:
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        if path.parent.name == "verify":  # it takes LlamaIndex' own objects where it is given some
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {(path.name, name) for name in names if name.split(".")[0] in may_not_import}
    assert found == set()


def test_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"version: {version}\n" in (ROOT / ".github" / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[1] == version
