"""Wheel and source archive, built, installed by pip and checked; the lock, and what it locks."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = [line.strip().partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
LOCKED = {canonicalize_name(name): version for name, _, version in LINES}
EXTRAS = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is not installed; it is part of the test extra")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_pip_installs_it_and_finds_nothing_to_complain_of(kind: str, built: Path, tmp_path: Path) -> None:
    [archive] = built.glob(kind)
    install = [
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        tmp_path / "site",
        archive,
    ]
    clean = {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
    subprocess.run([*pip, *install], env=clean, check=True, cwd=tmp_path)
    checked = subprocess.run([*pip, "check"], env=clean, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert checked.returncode == 0, checked.stdout
    code = "import qwen3_rag, importlib.metadata as m; print(qwen3_rag.__file__, m.version('llama-index-qwen3'))"
    done = subprocess.run([sys.executable, "-P", "-c", code], env=clean, capture_output=True, text=True, cwd=tmp_path)
    place, version = done.stdout.split()
    assert place.startswith(str(tmp_path)), "the checkout was imported"
    assert version == PROJECT["version"]


def test_the_source_archive_holds_what_its_tests_read(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"pyproject.toml", "constraints.txt", "CHANGELOG.md", ".github/SECURITY.md", "tests/test_readme.py"} <= names
    assert not [name for name in names if re.search(r"__pycache__|\.db(/|$)|\.venv", name)]


@pytest.mark.parametrize("extra", EXTRAS)
def test_one_file_locks_every_set_of_extras(extra: str) -> None:
    asked = [Requirement(one) for one in EXTRAS[extra] if not one.startswith("llama-index-qwen3[")]
    assert [str(one) for one in asked if canonicalize_name(one.name) not in LOCKED] == []
    assert [str(one) for one in asked if not one.specifier.contains(LOCKED[canonicalize_name(one.name)])] == []
    assert [str(one) for one in asked if ">=" not in str(one.specifier)] == [], "a lower bound is a promise"
