"""examples/rows.md names every field that an ingest writes, and no other one."""

from __future__ import annotations

import re
from pathlib import Path

from qwen3_rag import Models, RagConfig, Session
from support.hashing import IDENTITY, HashingEmbedding

from .conftest import write

PAGE = (Path(__file__).parents[2] / "examples" / "rows.md").read_text(encoding="utf-8")
OF_OTHER_FILES = {"page"}
"""Fields that only a PDF has, whose reader is an extra."""


def named(section: str) -> set[str]:
    """What stands in the first column of a section's table."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_page_names_every_field(lite: str) -> None:
    files = {
        "tea.md": "---\ntitle: Tea\nauthor: Sen Rikyu\ndate: 1591-02-28\n---\n# Tea\n\nSteep.\n",
        "corpus.jsonl": '{"_id": "7", "text": "Yeast makes gas."}\n',
        "brew.py": "print('tea')\n",
    }
    write(Path("docs"), dict(files))
    config = RagConfig(uri=lite, embed_model="tiny", hybrid=True)
    with Session(config, models=Models(HashingEmbedding(), IDENTITY, None)) as session:
        session.ingest(["docs"], metadata={"team": "red"})
        client = session.store.client
        rows = client.query("docs", filter='id != ""', output_fields=["*"], limit=100)
        catalog = client.query("docs__catalog", filter='id != ""', output_fields=["*"], limit=100)
    assert {name for row in rows for name in row} == named("A passage is a row") - OF_OTHER_FILES | {"team"}
    assert {row["kind"] for row in catalog} == named("The catalog") - {"kind", "part"}
    columns = set(re.findall(r"`(\w+)`", PAGE.partition("Rows have ")[2].partition(":")[0]))
    assert columns | {"id", "none"} == {name for row in catalog for name in row}
