"""examples/scale.md: its table is what the script computes, its code runs, its commands exist."""

from __future__ import annotations

import doctest
import re
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig
from qwen3_rag.scale import folder, job
from qwen3_rag.scale.files import ingest_files
from qwen3_rag.scale.settings import Embedder, Settings
from support.hashing import IDENTITY, HashingEmbedding
from typer.testing import CliRunner

from .conftest import write
from .test_scale import DOCS, config, contents, locally, other

__all__ = ["config"]

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = (EXAMPLES / "scale.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_is_what_the_script_computes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sizes.py"])
    namespace = runpy.run_path(str(EXAMPLES / "benchmarks" / "sizes.py"), run_name="__main__")
    table = capsys.readouterr().out.strip()
    assert table in PAGE
    assert len(table.splitlines()) == 10
    for name in ("duration", "size"):
        for test in doctest.DocTestFinder().find(namespace[name], name, globs=namespace):
            assert doctest.DocTestRunner().run(test).failed == 0


def test_every_block_compiles_and_names_what_there_is() -> None:
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        compile(block, "scale.md", "exec")
    for module, names in re.findall(r"^from (qwen3_rag\S*) import (.+)$", PAGE, re.MULTILINE):
        found = __import__(module, fromlist=["*"])
        assert all(hasattr(found, name) for name in names.split(", "))


def test_every_option_of_the_commands_is_one() -> None:
    shown = CliRunner().invoke(app, ["ingest", "--help"], env={"COLUMNS": "200"}).stdout
    commands = [line for line in PAGE.splitlines() if line.startswith("qwen3-rag ingest")]
    options = {option for line in [*commands, PAGE] for option in re.findall(r"(?<!-)--[a-z][a-z-]+", line)}
    elsewhere = {"--sweep-dimensions", "--rate", "--ray-workers"}
    assert len(commands) == 4
    assert {option for option in options - elsewhere if option not in shown} == set()


def engine(block: int, **given: Any) -> Any:
    namespace = dict(given)
    exec(compile(BLOCKS[block], "scale.md", "exec"), namespace)
    return next(value for name, value in namespace.items() if name.startswith("on_"))


def check(config: RagConfig, tmp_path: Path, on_engine: Any) -> None:
    docs = write(tmp_path / "docs", dict(DOCS))
    settings = Settings(str(tmp_path / "work"), 7, embedder=Embedder(IDENTITY, HashingEmbedding))
    report = ingest_files([docs], config, on_engine, settings)
    local, _ = locally(other(config), [docs])
    assert report.written == local.written
    assert contents(config) == contents(other(config))


@pytest.mark.skipif(find_spec("dask") is None, reason="Dask is not installed")
def test_the_ingest_on_dask(config: RagConfig, tmp_path: Path) -> None:
    import dask

    with dask.config.set(scheduler="synchronous"):
        check(config, tmp_path, engine(2))


@pytest.mark.skipif(find_spec("pyspark") is None, reason="Spark is not installed")
def test_the_ingest_on_spark(config: RagConfig, tmp_path: Path) -> None:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").getOrCreate()
    try:
        check(config, tmp_path, engine(1, spark=spark))
    finally:
        spark.stop()


def test_the_block_for_spark_on_a_stand_in_that_only_hands_over(config: RagConfig, tmp_path: Path) -> None:
    """What it sends and takes is a table with one column of bytes; the rest is Spark's."""
    import pyarrow as pa

    class Frame:
        def __init__(self, rows: list[tuple[bytes]]) -> None:
            self.batches = [pa.RecordBatch.from_pydict({"item": [row[0]]}) for row in rows]

        def mapInArrow(self, work: Any, schema: str) -> Frame:
            assert schema == "item binary"
            made = Frame([])
            made.batches = list(work(iter(self.batches)))
            return made

        def toLocalIterator(self) -> Any:
            for batch in self.batches:
                for item in batch.to_pydict()["item"]:
                    yield type("Row", (), {"item": item})

    class Session:
        def createDataFrame(self, rows: list[tuple[bytes]], schema: str) -> Frame:
            return Frame(rows)

    check(config, tmp_path, engine(1, spark=Session()))


@pytest.mark.parametrize("module", [job, folder], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"in_groups", "Folder"}
    tests = [one for one in doctest.DocTestFinder().find(module) if one.examples and one.name.split(".")[-1] in names]
    assert tests
    assert all(doctest.DocTestRunner().run(one).failed == 0 for one in tests)
