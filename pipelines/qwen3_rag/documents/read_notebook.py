"""Jupyter notebooks as Markdown, by the standard library: text cells as they are, code cells as fences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.decoding import UnreadableError
from qwen3_rag.documents.readers import make_document, read_text
from qwen3_rag.documents.sources import source_name


class NotebookReader(BaseReader):
    """One document a notebook. Outputs are left out: they are figures, tables of numbers and logs."""

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        try:
            notebook = json.loads(read_text(Path(file)))
        except (json.JSONDecodeError, RecursionError) as error:
            raise UnreadableError(f"not a notebook: its JSON does not parse ({error})") from None
        text = "\n\n".join(part for part in _cells(notebook) if part.strip())
        if not text:
            raise UnreadableError("no text in it")
        yield make_document(text, source or source_name(Path(file)), "markdown", file_type="ipynb")


def _cells(notebook: Any) -> Iterator[str]:
    sheets = [notebook, *(notebook.get("worksheets") or [])] if isinstance(notebook, dict) else []  # format 3
    lists = [sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and "cells" in sheet]
    cells = [cell for one in lists if isinstance(one, list) for cell in one]
    if not cells or not all(isinstance(cell, dict) for cell in cells):
        raise UnreadableError("not a notebook: it has no list of cells")
    info = notebook.get("metadata")
    kernel = info.get("language_info") or info.get("kernelspec") if isinstance(info, dict) else None
    language = str(kernel.get("name") or "") if isinstance(kernel, dict) else ""
    for cell in cells:
        given = cell.get("source", cell.get("input", ""))
        text = "".join(map(str, given)) if isinstance(given, list) else str(given)
        if cell.get("cell_type") == "heading":  # format 3
            text = "#" * int(cell.get("level") or 1) + " " + text
        if cell.get("cell_type") != "code" or not text.strip():
            yield text
            continue
        ticks = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
        yield f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
