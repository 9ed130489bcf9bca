"""`examples/benchmarks/service_load.py` runs, and finds every answer right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "service_load.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_answer_under_load_is_the_direct_one() -> None:
    command = [sys.executable, str(SCRIPT), "--clients", "8", "--searches", "4", "--rounds", "1", "--questions", "6"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    (row,) = found["rows"]
    assert (row["searches"], row["wrong"]) == (32, 0)
    assert 0 < row["p50_seconds"] <= row["p95_seconds"]
    assert found["command_seconds"] > 0
