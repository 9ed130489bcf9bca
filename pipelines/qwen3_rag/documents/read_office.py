"""Word, PowerPoint, Excel, OpenDocument, RTF and EPUB as Markdown, by anydoc (Rust, no models, no network)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.optional import need
from qwen3_rag.documents.readers import make_document
from qwen3_rag.documents.sources import source_name

SUFFIXES = (".docx", ".pptx", ".xlsx", ".odt", ".rtf", ".epub")


class OfficeReader(BaseReader):
    """One document a file."""

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        anydoc = need("anydoc", "Office and EPUB files")
        path = Path(file)
        raw = path.read_bytes()
        if not raw:
            raise UnreadableError("empty")
        try:
            text = anydoc.to_markdown_bytes(raw, ocr="reject")
        except anydoc.EncryptedError:
            raise UnreadableError("encrypted; save it without a password") from None
        except anydoc.NeedsOcrError:
            raise UnreadableError("no text in it (a scan?); recognise its text first") from None
        except anydoc.ConvertError as error:
            reason = " ".join(str(error).split())[:200]
            raise UnreadableError(f"not a {path.suffix} file that can be read: {reason}") from None
        if not text.strip():
            raise UnreadableError("no text in it")
        kind = path.suffix.lower().removeprefix(".")
        yield make_document(text, source or source_name(path), "markdown", file_type=kind)
