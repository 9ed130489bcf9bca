"""One file to documents, each with its pages and the metadata that every passage of an ingest has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from itertools import groupby
from typing import Any

from llama_index.core.schema import Document

from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.formats import FORMATS
from qwen3_rag.documents.invisible import visible
from qwen3_rag.documents.metadata import modified
from qwen3_rag.documents.sources import Skip, SourceFile
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.ingestion.roots import old_names
from qwen3_rag.store.catalog import Root

NO_TEXT = "no text in it"
SECOND = "second document with this id; the first one is used"
Meet = Callable[[str], bool]
"""Marks a document as there; False when it was met before."""


def read_file(
    file: SourceFile, root: Root, given: Mapping[str, Any], meet: Meet, skip: Skip
) -> Iterator[tuple[str, list[Document]]]:
    """The file's documents by name, each as its pages; the file's own name without pages where it is empty.

    The reader tells `skip` of parts, this function of the whole, that cannot be read.
    """
    pages = _pages(file, root, given, meet, skip)
    for source, found in groupby(pages, key=lambda page: page.node_id if page else file.source):
        yield source, [page for page in found if page]


def cleaned(pages: list[Document], report: IngestReport) -> list[Document]:
    """A document's pages without hidden letters, whatever parser is to cut them."""
    texts = [visible(page.text) for page in pages]
    if all(text == page.text for text, page in zip(texts, pages, strict=True)):
        return pages
    report.cleaned += 1
    clean = [page.model_copy() for page in pages]
    for page, text in zip(clean, texts, strict=True):
        page.set_content(text)
    return clean


def mark_documents() -> Meet:
    """Remembers the names of the documents that it is called with, in 12 bytes each."""
    met: set[bytes] = set()

    def meet(source: str) -> bool:
        mark = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        is_new = mark not in met
        met.add(mark)
        return is_new

    return meet


def names_of_old(uid: str, file: SourceFile, source: str) -> list[str]:
    """What version 0.1 may have called a document of a file, in a collection that it made: one without a mark."""
    part = source.removeprefix(file.source)
    return [] if uid else [name + part for name in old_names(file.path)]


def _pages(file: SourceFile, root: Root, given: Mapping[str, Any], meet: Meet, skip: Skip) -> Iterator[Document | None]:
    when = modified(file.state.st_mtime)
    added = {**given, "root": root.path, "root_name": root.name, **({"modified": when} if when else {})}
    try:
        for document in FORMATS[file.kind].reader.lazy_load_data(file.path, source=file.source, skip=skip):
            # The file itself may be given twice; an id of its own that a part of it gives itself may not.
            if document.node_id != file.source and not meet(document.node_id):
                skip(document.node_id, SECOND)
                continue
            document.metadata.update(added)
            document.excluded_embed_metadata_keys.extend(added)
            document.excluded_llm_metadata_keys.extend(added)
            yield document
    except UnreadableError as error:
        skip(file.source, str(error))
        if str(error) == "empty":
            yield None
    except OSError as error:
        skip(file.source, (error.strerror or str(error)).lower())
