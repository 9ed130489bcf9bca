"""Real files of many formats down to all their passages: headings, pages, and tables under their header rows."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from qwen3_rag import Models, RagConfig, Session
from qwen3_rag.cli.program import app
from qwen3_rag.store.connect import release_lite
from support.hashing import IDENTITY, HashingEmbedding
from support.real_files import ROWS, WRITERS, encrypted_pdf, manual_docx, manual_pdf, scanned_pdf
from typer.testing import CliRunner

from .conftest import write

DATA = Path(__file__).parents[1] / "data" / "documents"
GUIDE = """\
=====
Guide
=====

.. contents::

Intro with ``code``.

Install
=======

.. code-block:: sh

   # no heading
   pip install otter

Options
-------

+------+-------+
| name | value |
+======+=======+
| port | 4711  |
+------+-------+
"""
WRITTEN: dict[str, str | bytes] = {
    "guide.rst": GUIDE,
    "tool.py": '"""Tools."""\n\n# not a heading\ndef brew(cups: int) -> str:\n    return "tea" * cups\n',
    "query.sql": "-- not a heading\nSELECT name FROM otters;\n",
    "utf16.txt": "Kräutertee, 80 °C".encode("utf-16"),
    "windows.md": "\ufeff---\r\ntitle: Windows\r\n---\r\n\r\nIntro.\r\n\r\n## Setext\r\n\r\nText.\r\n".encode(),
}
Passages = list[tuple[str | None, int | None, str]]
GOLDEN: dict[str, Passages] = {
    "manual.pdf": [
        ("Pump manual", 1, "moves water from the well"),
        ("Installation", 1, "Unpack the pump"),
        ("Installation", 2, "open the valve slowly"),
        ("Ports", 3, "| valve | 4712 |"),
    ],
    "letter.pdf": [(None, 1, "12 valves leaves our store")],
    "half.pdf": [(None, 1, "The first page has a text layer.")],
    "manual.docx": [
        ("Operations", None, "How the plant is run."),
        ("Operations > Start", None, "2. Connect"),
        ("Operations > Ports", None, "| worker 0 | 9000 |"),
        ("Operations > Ports", None, "| worker 100 | 9100 |"),
        ("Operations > Ports", None, "| worker 199 | 9199 |"),
        ("Faults", None, "the hotline"),
    ],
    "minutes.docx": [("Minutes of May", None, "Ms Otter")],
    "deck.pptx": [
        ("Quarterly review", None, "Pumps and valves"),
        ("Sales", None, "Mention Lyon."),
        ("Regions", None, "Preliminary figures"),
    ],
    "prices.xlsx": [
        ("Ports", None, "| worker 0 | 9000 |"),
        ("Ports", None, "| worker 100 | 9100 |"),
        ("Ports", None, "| worker 199 | 9199 |"),
        ("Deliveries", None, "| 2024-01-31 | 1.5 |"),
    ],
    "book.epub": [
        ("The river", None, "The river"),
        ("Spring", None, "The ice breaks."),
        ("Spring > Otters", None, "They swim."),
        ("Summer", None, "| hot |"),
    ],
    "letter.rtf": [(None, None, "café order")],
    "old.ipynb": [("Old notebook", None, "# not a heading\nprint(1)")],
    "celery_debugging.html": [
        ("Debugging — Celery 5.2.6 documentation", None, "the current stable version"),
        ("Debugging > Debugging Tasks Remotely (using pdb) > Basics", None, "rdb.set_trace()"),
        ("Debugging > Debugging Tasks Remotely (using pdb) > Basics", None, "telnet localhost 6900"),
        (
            "Debugging > Debugging Tasks Remotely (using pdb) > Tips > Enabling the break-point signal",
            None,
            "CELERY_RDBSIG=1 celery worker",
        ),
    ],
    "flask_sqlite3.rst": [
        ("Using SQLite 3 with Flask", None, "def close_connection(exception):"),
        ("Using SQLite 3 with Flask > Connect on Demand", None, "with app.app_context():"),
        ("Using SQLite 3 with Flask > Easy Querying", None, "db.row_factory = make_dicts"),
        ("Using SQLite 3 with Flask > Easy Querying", None, "def query_db("),
        ("Using SQLite 3 with Flask > Initial Schemas", None, "def init_db():"),
    ],
    "plot_confusion_matrix.ipynb": [
        (None, None, "%matplotlib inline"),
        ("Confusion matrix", None, "normalization by class support size"),
        ("Confusion matrix", None, "# import some data to play with\niris = datasets.load_iris()"),
    ],
    "guide.rst": [
        ("Guide", None, "Intro with ``code``."),
        ("Guide > Install", None, "# no heading\n   pip install otter"),
        ("Guide > Install > Options", None, "| port | 4711  |"),
    ],
    "tool.py": [("tool.py", None, '# not a heading\ndef brew(cups: int) -> str:\n    return "tea" * cups')],
    "query.sql": [("query.sql", None, "SELECT name FROM otters;")],
    "utf16.txt": [(None, None, "Kräutertee, 80 °C")],
    "windows.md": [("Windows", None, "Intro."), ("Setext", None, "Text.")],
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    config = RagConfig(uri=str(tmp_path / "kb.db"), embed_model="tiny")
    with Session(config, models=Models(HashingEmbedding(), IDENTITY, None)) as opened:
        yield opened
    release_lite(config.uri)


@pytest.fixture
def folder() -> Path:
    made = write(Path("docs"), WRITTEN)
    for name, writer in WRITERS.items():
        writer(made / name)
    for file in DATA.iterdir():
        if file.name != "README.md":
            shutil.copy(file, made)
    return made


def test_every_file_ends_in_its_golden_passages(session: Session, folder: Path) -> None:
    report = session.ingest([folder])
    assert report.skipped == [("docs/half.pdf#page=2", "no text layer on page 2 (1 of 2)")]
    assert set(session.sources()) == {f"docs/{name}" for name in GOLDEN}
    for name, golden in GOLDEN.items():
        found = session.show(f"docs/{name}").passages
        assert [(one.header_path, one.page) for one in found] == [golden_one[:2] for golden_one in golden], name
        assert [one.position for one in found] == list(range(len(found)))
        for one, (_, _, phrase) in zip(found, golden, strict=True):
            assert phrase in one.text, name
    assert len(GOLDEN) >= 15
    assert len({Path(name).suffix for name in GOLDEN}) >= 7


@pytest.mark.parametrize("name", ["manual.docx", "prices.xlsx"])
def test_every_row_of_a_long_table_is_there_under_its_header(session: Session, folder: Path, name: str) -> None:
    session.ingest([folder / name])
    pieces = [one.text for one in session.show(f"docs/{name}").passages if "worker" in one.text]
    assert len(pieces) == 3
    assert all("| service | port |" in piece for piece in pieces)
    rows = [tuple(found) for piece in pieces for found in re.findall(r"\| (worker \d+) \| (\d+) \|", piece)]
    assert rows == ROWS[1:]


def test_titles(session: Session, folder: Path) -> None:
    session.ingest([folder])
    titles = {name: session.show(f"docs/{name}").passages[0].title for name in GOLDEN}
    assert titles["manual.pdf"] == "Pump manual"
    assert titles["manual.docx"] == "Operations"
    assert titles["celery_debugging.html"] == "Debugging — Celery 5.2.6 documentation"
    assert titles["guide.rst"] == "Guide"
    assert titles["windows.md"] == "Windows"
    assert titles["letter.pdf"] is None


def bad_folder() -> dict[str, str]:
    """A folder with each kind of bad file beside good ones; what has to be said of each."""
    folder = write(Path("bad"), {
        "good.md": "# Good\n\nOtters swim.\n",
        "empty.md": b"", "blank.txt": " \n\t\n", "binary.md": bytes(range(256)) * 9, "nul.txt": b"tea\0tea",
        "latin.md": "Grün ".encode("latin-1"), "utf16.md": b"\xff\xfet\x00e", "statements.mdx": "export const a = 1\n",
        "noise.pdf": b"\x89PNG\r\n", "noise.docx": b"\xd0\xcf\x11\xe0" * 99, "empty.xlsx": b"",
        "text.pptx": "This is no deck.", "page.html": "<html><head><title>x</title></head><body></body></html>",
        "charset.html": b"<meta charset=utf-8><p>caf\xe9</p>", "menu.html": "<nav><a href='a'>Home</a></nav>",
        "broken.ipynb": '{"cells": [', "list.ipynb": "[1, 2]", "empty.ipynb": '{"cells": [], "metadata": {}}',
        "corpus/corpus.jsonl": '{"_id": "1", "text": "fine"}\n{"_id": "2"}\nno json\n{"_id": "1", "text": "twice"}\n',
        "picture.png": b"\x89PNG", "LICENSE": "no suffix",
    })  # fmt: skip
    manual_pdf(folder / "cut.pdf")
    (folder / "cut.pdf").write_bytes((folder / "cut.pdf").read_bytes()[:700])
    manual_docx(folder / "cut.docx")
    (folder / "cut.docx").write_bytes((folder / "cut.docx").read_bytes()[:3_000])
    shutil.make_archive("plain", "zip", root_dir=folder, base_dir="good.md")
    for name in ("zip.docx", "zip.epub", "zip.xlsx"):
        shutil.copy("plain.zip", folder / name)
    scanned_pdf(folder / "scan.pdf")
    encrypted_pdf(folder / "secret.pdf")
    (folder / "dangling.md").symlink_to("nowhere.md")
    (folder / "loop").symlink_to(".")
    return {
        "empty.md": "empty", "blank.txt": "empty", "binary.md": "binary file", "nul.txt": "binary file",
        "latin.md": "not UTF-8", "utf16.md": "marked as UTF-16", "statements.mdx": "no text in it",
        "noise.pdf": "not a PDF file", "noise.docx": "not a .docx file", "empty.xlsx": "empty",
        "text.pptx": "not a .pptx file", "page.html": "no text in it", "charset.html": "declared as utf-8",
        "menu.html": "no text in it", "broken.ipynb": "its JSON does not parse", "list.ipynb": "no list of cells",
        "empty.ipynb": "no list of cells", "corpus/corpus.jsonl:2": '"_id" and "text"',
        "corpus/corpus.jsonl:3": "not a line of JSON", "corpus/corpus.jsonl#1": "second document with this id",
        "cut.pdf": "not a PDF that can be read", "cut.docx": "not a .docx file", "zip.docx": "not a .docx file",
        "zip.epub": "not a .epub file", "zip.xlsx": "not a .xlsx file", "scan.pdf": "no text layer",
        "secret.pdf": "encrypted", "dangling.md": "broken link", "loop": "symlink loop",
    }  # fmt: skip


def test_a_folder_of_bad_files_is_reported_in_full(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    expected = bad_folder()
    result = CliRunner().invoke(app, ["ingest", "bad", "--json"])
    assert result.exit_code == 3
    assert "Traceback" not in result.stderr
    report = json.loads(result.stdout)
    told = {one["source"].removeprefix("bad/"): one["reason"] for one in report["skipped"]}
    assert {name: reason for name, reason in expected.items() if reason not in told.get(name, "")} == {}, told
    assert set(told) == set(expected)
    assert (report["written"], report["passed_over"]) == (2, {"": 1, ".png": 1})
    for source, reason in told.items():
        assert f"bad/{source}" in result.stderr
        assert reason in result.stderr
        assert "\n" not in reason
