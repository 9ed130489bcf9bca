"""Damaged files of every kind: each is read, or refused in words; what is read makes passages that Milvus takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qwen3_rag.documents.chunking import MAX_BYTES, PassageParser
from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.formats import FORMATS, format_of
from support.real_files import WRITERS
from support.seeds import examples

DATA = Path(__file__).parents[1] / "data" / "documents"
CELLS = [{"cell_type": "markdown", "source": ["# A\n", "b"]}, {"cell_type": "code", "source": "x = 1", "outputs": []}]
WRITTEN = {
    "a.md": b"---\ntitle: T\n---\n# A\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n\n- b\n  - c\n",
    "a.mdx": b"import A from 'b'\n\n# A\n\n<Tabs>\n```sh\nls\n```\n</Tabs>\n\nexport const b = {\n  c: 1,\n}\n",
    "a.rst": b"Title\n=====\n\n.. code-block:: py\n\n   x = 1\n\n+---+\n| a |\n+===+\n| 1 |\n+---+\n",
    "a.txt": "Eins. Zwei!\r\n\r\n数据库。\n".encode("utf-16"),
    "corpus.jsonl": b'{"_id": "1", "title": "T", "text": "a"}\n{"_id": 2, "text": "b"}\n',
    "a.html": b"<head><title>T</title></head><body><h1>A</h1><table><tr><td>1</table><pre>x\n</pre></body>",
    "a.ipynb": json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": CELLS}).encode(),
    "a.py": b'"""A."""\n\n\ndef f():\n    return "\xc3\xa9"\n',
}


@cache
def originals(name: str) -> list[tuple[str, bytes]]:
    """Whole files of a format by their names: written here, by other programs, and as they were found."""
    files = dict(WRITTEN)
    with TemporaryDirectory() as folder:
        for file, write in WRITERS.items():
            write(Path(folder) / file)
            files[file] = (Path(folder) / file).read_bytes()
    files |= {one.name: one.read_bytes()[:20_000] for one in DATA.iterdir()}
    return [(file, raw) for file, raw in files.items() if format_of(Path(file)) == name]


def damaged(raw: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with up to four places cut out, overwritten, repeated, or filled with others."""
    place = st.integers(0, len(raw))
    others = st.binary(max_size=8) | st.sampled_from(
        [b"\0", b"<", b"{" * 500, b"[" * 500, b"\xff\xfe", b"\xed\xa0\x80"]
    )

    def with_edits(edits: list[tuple[int, int, bytes, bool]]) -> bytes:
        made = raw
        for start, size, put, repeat in edits:
            made = made[:start] + put + (made[start : start + size] if repeat else b"") + made[start + size :]
        return made

    return st.lists(st.tuples(place, st.integers(0, 200), others, st.booleans()), max_size=4).map(with_edits)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    assert originals(name), "a format without an example"

    @settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(originals(name)).flatmap(lambda one: st.tuples(st.just(one[0]), damaged(one[1]))))
    def check(file: tuple[str, bytes]) -> None:
        path = tmp_path / file[0]
        path.write_bytes(file[1])
        skipped: list[tuple[str, str]] = []
        skip: Callable[[str, str], None] = lambda *one: skipped.append(one)  # noqa: E731
        try:
            documents = list(FORMATS[name].reader.lazy_load_data(path, source=file[0], skip=skip))
        except UnreadableError as error:
            documents, skipped = [], [(file[0], str(error))]
        assert all(reason.strip() for _, reason in skipped)
        for node in PassageParser().get_nodes_from_documents(documents):
            assert node.get_content().strip()
            assert len(node.get_content().encode()) <= MAX_BYTES + 1_100
            assert "\0" not in node.get_content()

    check()
