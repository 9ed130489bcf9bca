"""Retrieval-augmented generation with Qwen3 models on Milvus::

    with Session(RagConfig(embed_model="tiny", uri="./kb.db")) as session:
        session.ingest(["docs/"])
        print(session.search("How is data stored?").best[0].text)
        print(session.ask("How is data stored?").answer)

`Session` is the whole way; the functions beside it are its parts, plain LlamaIndex objects to compose otherwise::

    config = RagConfig(embed_model="tiny", uri="./kb.db")
    models = load_models(config)
    store = open_store(config, models.identity, create=True)
    ingest(["docs/"], store=store, embed_model=models.embed)
    engine = make_query_engine(config, store, models)
    print(engine.query("How is data stored?"))

The public names are those of `__init__.pyi`, whichever module they are in. They are imported when they are first used,
so that importing the package (and `qwen3-rag --help`) stays fast.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from qwen3_rag.extras import missing_extra

# No module may carry the name of an export: importing it would put the module in the export's place.
_HOME = {
    alias.name: str(statement.module)
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if (missing := missing_extra(error)) is None:
            raise
        raise missing from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Moved(MetaPathFinder):
    """Comes after all other finders, so that only a module of 0.1, or a typo, loads what knows of the old ones."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(f"{__name__}.") or fullname == f"{__name__}.moved":
            return None
        from qwen3_rag.moved import MOVED

        return MOVED.find_spec(fullname, path, target)


sys.meta_path.append(_Moved())
