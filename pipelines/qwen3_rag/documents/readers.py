"""LlamaIndex readers for the three kinds of source. Each yields documents one by one and keeps no more than one.

A document's id is its source, so that its passages can be found and replaced. They work with
`SimpleDirectoryReader(file_extractor={".md": MarkdownReader()})` as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.sources import Skip, source_name

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
# What a reader shows to the embedding model is the text alone; the language model also sees these.
LLM_METADATA = ("source", "title", "header_path")
MAX_METADATA = 1_000
"""Letters of one metadata value: Milvus holds all of a row's metadata, twice, in 65,536 bytes."""


class UnreadableError(ValueError):
    """The file's content is not what its kind needs; the message is the reason."""


def read_text(path: Path) -> str:
    """The file as text, line ends made `\\n`.

    Raises:
        UnreadableError: binary, not UTF-8, or empty.
        OSError: not readable.
    """
    raw = path.read_bytes()
    if b"\0" in raw:
        raise UnreadableError("binary file (it contains NUL bytes)")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 (byte {error.start}); convert it to UTF-8") from None
    if not text.strip():
        raise UnreadableError("empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def make_document(text: str, source: str, kind: str, **metadata: Any) -> Document:
    """A document that embeds as its text alone."""
    full = {"source": source, "format": kind, **metadata}
    return Document(
        id_=source,
        text=text,
        metadata=full,
        excluded_embed_metadata_keys=list(full),
        excluded_llm_metadata_keys=[key for key in full if key not in LLM_METADATA],
    )


class MarkdownReader(BaseReader):
    """One document a file. Front matter is taken off, its title kept as metadata."""

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        text = read_text(Path(file))
        metadata: dict[str, str] = {}
        if front := _FRONT_MATTER.match(text):
            text = text[front.end() :]
            if title := _TITLE.search(front[1]):
                metadata["title"] = title[1].strip("\"'")[:MAX_METADATA]
        if not text.strip():
            raise UnreadableError("empty")
        yield make_document(text, source or source_name(Path(file)), "markdown", **metadata)


class TextReader(BaseReader):
    """One document a file, as it is."""

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        yield make_document(read_text(Path(file)), source or source_name(Path(file)), "text")


class BeirReader(BaseReader):
    """One document a line of a BEIR corpus.jsonl: `{"_id", "title", "text"}`. Source: `corpus.jsonl#ID`.

    `skip` is told of lines that cannot be used; the others are read.
    """

    def lazy_load_data(
        self, file: Path, source: str | None = None, skip: Skip | None = None, **_: Any
    ) -> Iterator[Document]:
        name = source or source_name(Path(file))
        found = 0
        with Path(file).open("rb") as lines:
            for number, raw in enumerate(lines, 1):
                if not raw.strip():
                    continue
                try:
                    yield _beir_document(raw, name)
                    found += 1
                except UnreadableError as error:
                    if skip is None:
                        raise UnreadableError(f"line {number}: {error}") from None
                    skip(f"{name}:{number}", str(error))
        if not found:
            raise UnreadableError("empty")


def _beir_document(raw: bytes, name: str) -> Document:
    try:
        row = json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        raise UnreadableError(f"not a line of JSON in UTF-8 ({error})") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row.get("_id"):
        raise UnreadableError('not a BEIR document: it needs "_id" and "text"')
    title = str(row.get("title") or "").strip()
    text = f"{title}\n{row['text']}".strip()
    if not text:
        raise UnreadableError("empty")
    try:
        f"{text}{row['_id']}".encode()
    except UnicodeEncodeError:
        raise UnreadableError("half of a surrogate pair in its text") from None
    extra = {"title": title[:MAX_METADATA]} if title else {}
    return make_document(text, f"{name}#{row['_id']}", "beir", beir_id=str(row["_id"]), **extra)
