"""Retrieval-augmented generation with Qwen3 models on Milvus.

The building blocks compose left to right and are plain LlamaIndex objects::

    config = RagConfig(embed_model="tiny", uri="./kb.db")
    models = load_models(config)
    store = open_store(config, models.identity, create=True)
    ingest(["docs/"], store=store, embed_model=models.embed)
    engine = make_query_engine(config, store, models)
    print(engine.query("How is data stored?"))

Names are resolved lazily, so that importing the package (and `qwen3-rag --help`) stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwen3_rag.config import RagConfig
    from qwen3_rag.errors import ConfigError, RagError, UnavailableError
    from qwen3_rag.ingestion.pipeline import IngestReport, ingest
    from qwen3_rag.models import ModelIdentity, Models, load_models
    from qwen3_rag.query.answer import CitedSynthesizer, make_llm
    from qwen3_rag.query.stages import SearchResult, make_index, make_query_engine, make_retriever, search
    from qwen3_rag.store.vector_store import RagVectorStore, open_store

# No module may carry the name of an export: importing it would put the module in the export's place.
_HOME = {
    "CitedSynthesizer": "query.answer",
    "ConfigError": "errors",
    "IngestReport": "ingestion.pipeline",
    "ModelIdentity": "models",
    "Models": "models",
    "RagConfig": "config",
    "RagError": "errors",
    "RagVectorStore": "store.vector_store",
    "SearchResult": "query.stages",
    "UnavailableError": "errors",
    "ingest": "ingestion.pipeline",
    "load_models": "models",
    "make_index": "query.stages",
    "make_llm": "query.answer",
    "make_query_engine": "query.stages",
    "make_retriever": "query.stages",
    "open_store": "store.vector_store",
    "search": "query.stages",
}

__all__ = [
    "CitedSynthesizer",
    "ConfigError",
    "IngestReport",
    "ModelIdentity",
    "Models",
    "RagConfig",
    "RagError",
    "RagVectorStore",
    "SearchResult",
    "UnavailableError",
    "ingest",
    "load_models",
    "make_index",
    "make_llm",
    "make_query_engine",
    "make_retriever",
    "open_store",
    "search",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"qwen3_rag.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
