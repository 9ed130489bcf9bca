"""The rooms of `qwen3_rag`, read from its imports: they go down, never round, and reach for no private name."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest
import qwen3_rag

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pipelines" / "qwen3_rag"
FLOORS = (
    ("addresses", "errors", "headings", "moved", "scripts"),
    ("extras", "config_file"),
    ("config_database", "config_models"),
    ("config",),
    ("identity", "model_servers"),
    ("models",),
    ("documents", "store"),
    ("ingestion", "query"),
    ("explain", "session"),
    ("evaluation", "agents", "pages", "scale"),
    ("serve",),
    ("cli",),
)
"""From the ground up: a module imports from floors below its own, or from its own room. The root is above them all."""
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


class Import(NamedTuple):
    """`name` is None where the module itself is imported."""

    target: str
    name: str | None


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Dotted names below the package, "" for its own `__init__`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path) -> Iterator[Import]:
    """What a file imports from the package, wherever in the file: lazily and for type checkers as well."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "qwen3_rag":
                    yield Import(alias.name.removeprefix("qwen3_rag").lstrip("."), None)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            if (node.module or "").split(".")[0] == "qwen3_rag":
                module = str(node.module).removeprefix("qwen3_rag").lstrip(".")
                for alias in node.names:
                    inner = f"{module}.{alias.name}".lstrip(".")
                    yield Import(inner, None) if inner in known else Import(module, alias.name)


def room(module: str) -> str:
    return module.split(".")[0]


def test_every_module_has_a_floor() -> None:
    assert {room(name) for name in modules()} - {""} == set(FLOOR)


@pytest.mark.parametrize("name", [name for name in modules() if name])
def test_imports_go_down(name: str) -> None:
    wrong = [
        one.target
        for one in imports(modules()[name])
        if one.target and room(one.target) != room(name) and FLOOR[room(one.target)] >= FLOOR[room(name)]
    ]
    assert wrong == [], f"{name} is on floor {FLOOR[room(name)]} and imports from its own or from above"
    assert "" not in {one.target for one in imports(modules()[name])}, "modules import from modules, not from the root"


def test_there_is_no_circle() -> None:
    graph = {name: {one.target for one in imports(path)} for name, path in modules().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def test_no_private_name_crosses_a_module() -> None:
    crossing = [
        f"{name}: {one.target}.{one.name}"
        for name, path in modules().items()
        for one in imports(path)
        if (one.name or one.target.rsplit(".", 1)[-1]).startswith("_")
    ]
    assert crossing == []


def test_no_module_bears_the_name_of_an_export() -> None:
    parts = {part for name in modules() for part in name.split(".")}
    assert parts & set(qwen3_rag.__all__) == set()


def test_modules_are_short() -> None:
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert statistics.median(count for name, count in lines.items() if count > 1) < 130


def test_the_integrations_know_nothing_of_the_pipeline() -> None:
    knowing = [path for path in (ROOT / "integrations").rglob("*.py") if list(imports(path))]
    assert knowing == []


def test_the_reading_of_imports_sees_every_kind(tmp_path: Path) -> None:
    """This module's own eyes: what it must not overlook."""
    (tmp_path / "one.py").write_text(
        "import qwen3_rag.config\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from qwen3_rag.session import Session\n"
        "def f():\n    from qwen3_rag.cli import console\n    from qwen3_rag.store.held import _hidden\n"
    )
    assert set(imports(tmp_path / "one.py")) == {
        Import("config", None),
        Import("session", "Session"),
        Import("cli.console", None),
        Import("store.held", "_hidden"),
    }
