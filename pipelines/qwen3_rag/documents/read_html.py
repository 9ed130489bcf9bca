"""HTML as Markdown: headings, tables and code stay what they are, scripts and styles go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.decoding import UnreadableError, decode, find_encoding
from qwen3_rag.documents.optional import need
from qwen3_rag.documents.readers import MAX_METADATA, make_document
from qwen3_rag.documents.sources import source_name

SUFFIXES = (".html", ".htm", ".xhtml")
_NOISE = [
    *("nav", "[role=navigation]"),
    *("a.headerlink", "a.header-anchor", "a.hash-link", "a.anchorjs-link", "a.permalink", "a.anchor[aria-hidden=true]"),
]
"""Menus, and the signs beside headings that link to them, as Sphinx, VitePress, Docusaurus and others make them."""
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)


class HtmlReader(BaseReader):
    """One document a file; `<title>` is its title. Menus (`<nav>`) are left out. The encoding is said by a byte order
    mark or `<meta charset>`."""

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        converter = need("html_to_markdown", "HTML files")
        html = _decode(Path(file).read_bytes())
        options = converter.ConversionOptions(extract_metadata=False, skip_images=True, exclude_selectors=_NOISE)
        try:
            text = converter.convert(html, options).content or ""
        except converter.ConversionError as error:
            raise UnreadableError(f"not HTML that can be read: {' '.join(str(error).split())[:200]}") from None
        if not text.strip():
            raise UnreadableError("no text in it" if html.strip() else "empty")
        found = _TITLE.search(html)
        title = " ".join(unescape(found[1]).split())[:MAX_METADATA] if found else ""
        extra = {"title": title} if title else {}
        yield make_document(text, source or source_name(Path(file)), "markdown", file_type="html", **extra)


def _decode(raw: bytes) -> str:
    declared = _CHARSET.search(raw[:2048])
    if declared and find_encoding(raw) == ("utf-8", 0):
        try:
            return raw.decode(declared[1].decode())
        except (UnicodeDecodeError, LookupError) as error:
            raise UnreadableError(f"declared as {declared[1].decode()}, which it is not: {error}") from None
    return decode(raw)
