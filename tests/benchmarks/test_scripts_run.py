"""Every benchmark runs from its command line, on a tiny shape, and ends with a JSON line that has figures in it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def run(script: str, checkpoints: Path, *options: str) -> str:
    """What the script prints; its processes import torch and sentence-transformers, which is where the time goes."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--shape", "tiny", "--checkpoints", str(checkpoints), *options],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def last_json(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def test_shapes_reuses_the_checkpoints_it_made(checkpoints: Path) -> None:
    first = run("shapes.py", checkpoints).split()
    made = [(Path(folder) / "model.safetensors").stat().st_mtime_ns for folder in first]
    assert run("shapes.py", checkpoints).split() == first
    assert [(Path(folder) / "model.safetensors").stat().st_mtime_ns for folder in first] == made


@pytest.mark.slow
def test_speed_compares_results_before_it_compares_seconds(checkpoints: Path) -> None:
    options = ("--quick", "--same-process", "--dtype", "float32", "--only", "rerank-passages", "embed-query")
    rows = last_json(run("speed.py", checkpoints, *options))["rows"]
    assert {
        ("rerank-passages", "ours"),
        ("rerank-passages", "tutorial"),
        ("rerank-passages", "sentence-transformers"),
    } <= {(found["work"], found["method"]) for found in rows}
    for found in rows:
        assert found["error"] < 1e-4, "all methods compute the same thing"
        assert found["seconds"] > 0
        assert 0 < found["share"] < 1
        assert found["passed"]


def test_scaling_reports_every_size(checkpoints: Path) -> None:
    report = last_json(run("scaling.py", checkpoints, "--quick", "--only", "rerank"))
    assert [found["size"] for found in report["rows"][:2]] == ["2 passages", "4 passages"]
    assert all(found["tokens_per_second"] > 0 for found in report["rows"])


def test_concurrency_reports_every_way(checkpoints: Path) -> None:
    rows = last_json(run("concurrency.py", checkpoints, "--quick"))["rows"]
    assert {found["work"] for found in rows} == {"reranker", "embedding"}
    assert {"one after another", "from threads", "in an event loop"} <= {found["way"] for found in rows}
