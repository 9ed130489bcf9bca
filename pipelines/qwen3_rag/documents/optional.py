"""Optional packages: imported when they are needed, missed by the name of the extra that brings them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qwen3_rag.documents.decoding import UnreadableError


class MissingReaderError(UnreadableError):
    """A kind of file that nothing installed can read. `extra` is what to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} need the extra {extra!r}: pip install 'llama-index-qwen3[{extra}]'")
        self.extra = extra


def need(module: str, what: str, extra: str = "documents") -> Any:
    """The module, or MissingReaderError.

    >>> need("json", "JSON files").__name__
    'json'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingReaderError(what, extra) from None
