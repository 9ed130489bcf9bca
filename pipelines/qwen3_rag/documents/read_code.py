"""Source code by file: one fence, so that it is kept whole, or cut at line ends with its language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from qwen3_rag.documents.readers import make_document, read_text
from qwen3_rag.documents.sources import source_name

LANGUAGES = {
    ".c": "c", ".cc": "cpp", ".cpp": "cpp", ".cs": "csharp", ".go": "go", ".h": "c", ".hpp": "cpp", ".java": "java",
    ".js": "js", ".jsx": "jsx", ".kt": "kotlin", ".lua": "lua", ".php": "php", ".proto": "protobuf", ".py": "python",
    ".rb": "ruby", ".rs": "rust", ".scala": "scala", ".sh": "sh", ".sql": "sql", ".swift": "swift", ".ts": "ts",
    ".tsx": "tsx",
}  # fmt: skip


class CodeReader(BaseReader):
    """One document a file, headed by its name."""

    def lazy_load_data(self, file: Path, source: str | None = None, **_: Any) -> Iterator[Document]:
        path = Path(file)
        text = read_text(path).rstrip()
        language = LANGUAGES.get(path.suffix.lower(), "")
        ticks = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
        body = f"# {path.name}\n\n{ticks}{language}\n{text}\n{ticks}\n"
        yield make_document(body, source or source_name(path), "markdown", file_type=language or "code")
