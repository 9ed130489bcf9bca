"""Where the modules of 0.1 went. Imported when one of them is asked for."""

from __future__ import annotations

from qwen3_inference.moved import Moved

_HOMES: dict[str, tuple[str, ...]] = {
    "answer": ("query.answer", "query.llm_client"),
    "bm25": ("store.bm25",),
    "chunking": ("documents.chunking", "documents.sentences", "documents.blocks"),
    "cli": ("cli.program",),
    "commands": (),
    "commands.admin": ("cli.collection", "cli.demo"),
    "commands.evaluate": ("cli.evaluation",),
    "commands.ingest": ("cli.ingestion",),
    "commands.mcp": ("cli.serving",),
    "commands.search": ("cli.questions",),
    "connect": ("store.connect",),
    "console": ("cli.console", "query.phrasing"),
    "discover": ("documents.walk", "documents.sources"),
    "evaluate": ("evaluation.metrics", "evaluation.beir", "evaluation.ranking"),
    "info": ("config", "store.collection"),
    "ingestion": ("ingestion.pipeline", "ingestion.report", "ingestion.writer"),
    "markdown": ("documents.markdown",),
    "mcp_server": ("serve.mcp_server", "query.rows", "agents.results", "agents.fitting"),
    "options": ("cli.options",),
    "readers": ("documents.readers", "documents.decoding"),
    "retrieve": ("query.engine", "query.stages", "query.results", "query.rows", "query.filters"),
    "schema": ("store.collection",),
    "snapshot": ("store.paging",),
    "store": ("store.opening", "store.vector_store"),
    "tool_arguments": ("agents.arguments",),
    "tool_results": ("agents.results", "agents.failures", "agents.fitting", "agents.wrapping"),
    "tools": ("agents.retrieval", "agents.tools"),
}

MOVED = Moved(
    {f"qwen3_rag.{old}": tuple(f"qwen3_rag.{home}" for home in homes) for old, homes in _HOMES.items()},
    public="qwen3_rag",
)
