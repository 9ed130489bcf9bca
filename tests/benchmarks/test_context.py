"""The measurement of titles and headings runs on a small tree with the bundled pair, and counts right passages."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "benchmarks" / "context.py"
QUESTIONS = """\
## tea: a tree

| question | source | text |
|---|---|---|
| How warm is the water for green tea? | `tea\\|leaves` | `80` |
| Who swims in the river? | `animals` | |
| Which right passage is not there? | `nowhere` | |
"""


def test_right_passages_are_counted_by_form_and_stage(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "tea.md").write_text("# Tea\n\n## Green\n\nSteep at 80 degrees.\n\n## Black\n\nBoiling water.\n")
    (tree / "animals.md").write_text("---\ntitle: Animals\n---\n\nOtters swim in the river.\n")
    (tmp_path / "questions.md").write_text(QUESTIONS)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--questions", str(tmp_path / "questions.md"), "--tree", f"tea={tree}"],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])["results"]["tea"]
    assert (found["questions"], found["passages"], found["measure"]) == (3, 3, "right")
    assert found["dense"] == {"text": 2, "title": 2, "line": 2}, "the title is the only heading above: forms are equal"
    assert found["reranked"]["text+line"] == 2
    assert set(found["hybrid"]) == {f"{a}+{b}" for a in found["dense"] for b in found["dense"]}
