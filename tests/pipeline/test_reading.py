"""Bytes to documents: encodings, front matter, metadata. No text is lost, and what cannot be used says why."""

from __future__ import annotations

import codecs
import datetime
import decimal
import enum
import pathlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import Document
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.decoding import UnreadableError, decode
from qwen3_rag.documents.front_matter import MAX_CHARS, split_front_matter
from qwen3_rag.documents.readers import MarkdownReader, TextReader
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pipeline import ingest_documents
from support.hashing import HashingEmbedding

from .conftest import OpenStore, write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_files_are_read_by_their_mark(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, {"a.md": "---\r\ntitle: Tee 茶\r\n---\r\n# Grün\r\n".encode(encoding)})
    (document,) = MarkdownReader().lazy_load_data(tmp_path / "a.md", source="a.md")
    assert (document.metadata["title"], document.text) == ("Tee 茶", "# Grün\n")
    (document,) = TextReader().lazy_load_data(tmp_path / "a.md", source="a.md")
    assert document.text.startswith("---\ntitle")


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE])
def test_big_endian_files_are_read(mark: bytes) -> None:
    encoding = "utf-16-be" if len(mark) == 2 else "utf-32-be"
    assert decode(mark + "茶\r".encode(encoding)) == "茶\n"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("café".encode("latin-1"), "byte 3 is 0xe9"),
        (b"\x7fELF\0\0", "binary"),
        (b"\xff\0\xfe", "binary"),
        ("tea".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\x00", "marked as UTF-16-LE, but broken at byte 2"),
        (codecs.BOM_UTF16_LE + b"abc", "broken at byte 4"),
    ],
)
def test_other_bytes_are_refused_with_their_place(raw: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        decode(raw)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff")))
def test_text_comes_back_from_every_encoding(text: str) -> None:
    assert {decode(text.encode(encoding)) for encoding in ("utf-8-sig", "utf-16", "utf-32")} == {text}


TITLES = {
    "---\ntitle: Tea\n---\nBody": "Tea",
    "---\ntitle: >-\n  A long title\n  over two lines\nsidebar:\n  title: no\n---\nBody": "A long title over two lines",
    "---\ntitle: 'It''s \"quoted\"' # comment\n---\nBody": 'It\'s "quoted"',
    "---\nid: x\ntitle: Pandoc\n...\nBody": "Pandoc",
    "---   \nTitle: 2024-01-31\n---\t\nBody": "2024-01-31",
    '+++\ntitle = "Hugo"\n[extra]\ntitle = "wrong"\n+++\nBody': "Hugo",
    "---\nhero:\n  title: Hero only\n---\nBody": None,
    "---\ntitle:\n---\nBody": None,
    "---\ntitle: [a, b]\n---\nBody": None,
    "---\n---\nBody": None,
    "---\na: &x [1]\nb: *x\n---\nBody": None,
}


@pytest.mark.parametrize("text", TITLES)
def test_front_matter_goes_and_its_title_stays(text: str) -> None:
    assert split_front_matter(text) == ({"title": TITLES[text]} if TITLES[text] else {}, "Body")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nThe code word is marmalade.\n\n---\n\nMore",
        "---\n\nNote: the code word is marmalade.\n\n---\n\nMore",
        "---\nThe code word is marmalade.\n---\nMore",
        "---\nThe code word for today is: marmalade\n---\nMore",
        "---\n- marmalade\n- jam\n---\nMore",
        "---\n# Marmalade\n---\nMore",
        "---\ntitle: never closed\n\nMarmalade",
        "---\ntitle: [broken\nmarmalade\n---\nMore",
        "---\ntitle: {{ marmalade }}: x\n---\nMore",
        "+++\nmarmalade\n+++\nMore",
        "+++\n# marmalade\n+++\nMore",
        "---\na: 1\n+++\nmarmalade",
        "----\ntitle: marmalade\n----\n",
        "text\n---\ntitle: marmalade\n---\n",
        "---\n? [a, b]\n: marmalade\n---\nMore",
        "---\nx: " + "[" * 5_000 + "\n---\nMore",
        "+++\nx = " + "[" * 5_000 + "\n+++\nMore",
        "---\nx: " + "a" * MAX_CHARS + "\n---\nMore",
    ],
)
def test_text_between_rules_is_text(text: str) -> None:
    assert split_front_matter(text) == ({}, text)


@pytest.mark.timeout(60)
def test_front_matter_is_read_safely_and_in_bounded_time() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert split_front_matter(f"---\n{bomb}title: Bomb\n---\nBody") == ({"title": "Bomb"}, "Body")
    merges = "a: &a {x: 1}\n" + "".join(
        f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}]}}\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert split_front_matter(f"---\n{merges}---\nBody")[1] == "Body"
    assert split_front_matter("---\nx: !!python/object/apply:os.abort []\n---\nBody")[1] == "Body"
    assert split_front_matter("---\n" + "a: b\n" * 2_000_000)[0] == {}


class Color(enum.Enum):
    RED = "red"


def test_metadata_of_other_types_becomes_json(store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    store = store_of()
    given: dict[str, Any] = {
        "day": datetime.date(2024, 1, 31),
        "time": datetime.datetime(2024, 1, 31, 12, tzinfo=datetime.UTC),
        "tags": ("a", {"b"}),
        "path": pathlib.PurePosixPath("/x"),
        "id": uuid.UUID(int=1),
        "price": decimal.Decimal("1.50"),
        "color": Color.RED,
        "count": np.int64(3),
        "scores": np.array([0.5]),
        "nested": {"when": datetime.time(8)},
        "none": None,
    }
    ingest_documents([Document(text="x", id_="d", metadata=given)], store=store, embed_model=embed_model)
    (node,) = store.get_nodes(filters=None, node_ids=[row["id"] for row in all_rows(store)])
    assert node.metadata == {
        "day": "2024-01-31",
        "time": "2024-01-31T12:00:00+00:00",
        "tags": ["a", ["b"]],
        "path": "/x",
        "id": str(uuid.UUID(int=1)),
        "price": "1.50",
        "color": "red",
        "count": 3,
        "scores": [0.5],
        "nested": {"when": "08:00:00"},
        "none": None,
        "position": 0,
    }


def all_rows(store: Any) -> list[dict[str, Any]]:
    return list(store.client.query(store.collection_name, filter="", output_fields=["id"], limit=100))


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [b"raw", object(), float("nan"), float("inf"), 2**63, {1: "a"}, "\ud800", ["x", {"y": b""}], LOOP, "x" * 40_000],
)
def test_metadata_that_cannot_be_held_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"document 'ticket'.*'odd'"):
        PassageParser().get_nodes_from_documents([Document(text="x", id_="ticket", metadata={"odd": value})])


def test_a_text_that_cannot_be_encoded_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="document 'ticket': its text holds half of a surrogate pair at letter 3"):
        PassageParser().get_nodes_from_documents([Document(text="abc\ud800", id_="ticket")])


@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000\n"])
@pytest.mark.parametrize("kind", [None, "markdown", "beir"])
def test_an_empty_document_is_no_passage(text: str, kind: str | None) -> None:
    metadata = {"format": kind} if kind else {}
    assert PassageParser().get_nodes_from_documents([Document(text=text, metadata=metadata)]) == []
