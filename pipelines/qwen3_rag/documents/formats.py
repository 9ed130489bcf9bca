"""The document formats. A new one is a reader in a file of its own and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llama_index.core.readers.base import BaseReader

from qwen3_rag.documents import read_code, read_html, read_office
from qwen3_rag.documents.read_notebook import NotebookReader
from qwen3_rag.documents.read_pdf import PdfReader
from qwen3_rag.documents.readers import BeirReader, MarkdownReader, TextReader

Cut = Literal["headings", "rst", "sentences", "whole"]


@dataclass(frozen=True)
class Format:
    """How files of one kind are found, read and cut.

    Args:
        suffixes: lower case, with the dot.
        reader: `lazy_load_data(file, source=, skip=)` yields documents with `format` in their metadata. A document's id
            is `source`, or begins with it where a file holds several; `skip(source, reason)` is told of parts that
            cannot be used.
        cut: the text is Markdown ("headings") or reStructuredText ("rst") and is cut at its headings, or is prose and
            cut at sentences, or is a passage already.
        names: below a folder only files of these names are taken; empty: all with a suffix.
    """

    suffixes: tuple[str, ...]
    reader: BaseReader
    cut: Cut = "sentences"
    names: tuple[str, ...] = ()


FORMATS: Mapping[str, Format] = {
    "markdown": Format((".md", ".markdown", ".mdx", ".qmd", ".rmd"), MarkdownReader(), cut="headings"),
    "rst": Format((".rst",), TextReader("rst"), cut="rst"),
    "text": Format((".txt", ".text"), TextReader()),
    "beir": Format((".jsonl",), BeirReader(), cut="whole", names=("corpus.jsonl",)),
    # These readers make Markdown: their documents' format is "markdown".
    "pdf": Format((".pdf",), PdfReader()),
    "office": Format(read_office.SUFFIXES, read_office.OfficeReader()),
    "html": Format(read_html.SUFFIXES, read_html.HtmlReader()),
    "notebook": Format((".ipynb",), NotebookReader()),
    "code": Format(tuple(read_code.LANGUAGES), read_code.CodeReader()),
}
"""Formats by the name that stands in a document's metadata as `format`."""


def format_of(path: Path, in_folder: bool = False) -> str | None:
    """The name of a file's format by its suffix; None when nothing reads it.

    >>> format_of(Path("docs/README.MD")), format_of(Path("logo.png"))
    ('markdown', None)
    """
    suffix = path.suffix.lower()
    name = next((name for name, one in FORMATS.items() if suffix in one.suffixes), None)
    if name and in_folder and FORMATS[name].names and path.name not in FORMATS[name].names:
        return None
    return name


def cut_of(name: object) -> Cut:
    """How documents of a format are cut. Documents of other readers are prose."""
    return FORMATS[name].cut if isinstance(name, str) and name in FORMATS else "sentences"
