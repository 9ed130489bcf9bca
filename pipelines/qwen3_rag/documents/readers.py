"""LlamaIndex readers for the three kinds of source. Each yields documents one by one and keeps no more than one.

A document's id is its source, so that its passages can be found and replaced. They work with
`SimpleDirectoryReader(file_extractor={".md": MarkdownReader()})` as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.decoding import UnreadableError as UnreadableError
from qwen3_rag.documents.decoding import decode
from qwen3_rag.documents.front_matter import split_front_matter
from qwen3_rag.documents.sources import Skip, source_name

# What a reader shows to the embedding model is the text alone; the language model also sees these.
LLM_METADATA = ("source", "title", "header_path")
MAX_METADATA = 1_000
"""Letters of one metadata value: Milvus holds all of a row's metadata, twice, in 65,536 bytes."""


def read_text(path: Path) -> str:
    """The file as text, line ends made `\\n`.

    Raises:
        UnreadableError: binary, in no Unicode encoding, or empty.
        OSError: not readable.
    """
    text = decode(path.read_bytes())
    if not text.strip():
        raise UnreadableError("empty")
    return text


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
        found, text = split_front_matter(read_text(Path(file)))
        metadata = {key: value[:MAX_METADATA] for key, value in found.items()}
        if not text.strip():
            raise UnreadableError("empty")
        yield make_document(text, source or source_name(Path(file)), "markdown", **metadata)


class TextReader(BaseReader):
    """One document a file, as it is. `kind` is its format."""

    def __init__(self, kind: str = "text") -> None:
        self._kind = kind

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        yield make_document(read_text(Path(file)), source or source_name(Path(file)), self._kind)


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
    return corpus_document(row, name)


def corpus_document(row: Any, name: str) -> Document:
    """One row of a corpus, `{"_id", "text", "title"}`, the last one optional, as the document `name#_id`.

    Raises:
        UnreadableError: it is no such row, or without text.

    >>> corpus_document({"_id": 7, "text": "Yeast makes gas."}, "corpus.jsonl").node_id
    'corpus.jsonl#7'
    """
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or row.get("_id") in (None, ""):
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
