"""PDF, page by page, as Markdown. The text layer alone: no recognition in pictures, and nothing leaves the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.optional import need
from qwen3_rag.documents.readers import make_document
from qwen3_rag.documents.sources import Skip, source_name


class PdfReader(BaseReader):
    """One document a page, all with the file's id; `page` counts from 1. `skip` is told of pages without text."""

    def lazy_load_data(
        self, file: Path, source: str | None = None, skip: Skip | None = None, **_: Any
    ) -> Iterator[Document]:
        name = source or source_name(Path(file))
        blank = []
        found = 0
        for number, text in enumerate(_pages(Path(file)), 1):
            if text.strip():
                found += 1
                yield make_document(text, name, "markdown", file_type="pdf", page=number)
            else:
                blank.append(number)
        if not found:
            raise UnreadableError("no text layer on any page (a scan?); recognise its text first, e.g. with ocrmypdf")
        if blank and skip:
            shown = ", ".join(map(str, blank[:10])) + (", ..." if blank[10:] else "")
            skip(f"{name}#page={blank[0]}", f"no text layer on page {shown} ({len(blank)} of {found + len(blank)})")


def _pages(file: Path) -> list[str]:
    liteparse = need("liteparse", "PDF files")
    # Bytes, not the path: it converts other formats with whatever office programs are installed.
    raw = file.read_bytes()
    if b"%PDF-" not in raw[:1024]:
        raise UnreadableError("not a PDF file (it does not begin with %PDF-)")
    parser = liteparse.LiteParse(ocr_enabled=False, output_format="markdown", image_mode="off", quiet=True)
    try:
        result = parser.parse(raw)
    except (RuntimeError, ValueError, liteparse.ParseError) as error:
        if "password" in str(error).lower():
            raise UnreadableError("encrypted; save it without a password") from None
        raise UnreadableError(f"not a PDF that can be read: {' '.join(str(error).split())[:200]}") from None
    # The Markdown of a page without text is an empty fence.
    return [page.markdown if any(item.text.strip() for item in page.text_items) else "" for page in result.pages]
