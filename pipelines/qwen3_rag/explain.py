"""Errors of the libraries below as one of ours that says what to do. The one place where they are told from bugs."""

from __future__ import annotations

import sys

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, RagError, UnavailableError
from qwen3_rag.extras import missing_extra


def explain(error: Exception, config: RagConfig | None = None) -> RagError | None:
    """The error in one line with its exit code; None for a bug.

    `config` is given where the configured language model may have failed: only there an HTTP error is known to be its.
    Only modules that are loaded can have raised.
    """
    if isinstance(error, RagError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing_extra(error)
    if (models := sys.modules.get("qwen3_inference.errors")) is not None:
        if isinstance(error, models.HubUnavailableError):
            from qwen3_rag.models import hub_advice

            return UnavailableError(hub_advice(error))
        if isinstance(error, models.EngineUnavailableError | models.EngineResponseError):
            return UnavailableError(str(error))
        if isinstance(error, models.CheckpointError):
            return ConfigError(str(error))
    milvus = sys.modules.get("pymilvus.exceptions")
    if milvus is not None and isinstance(error, milvus.MilvusException):
        return UnavailableError(f"the database failed: {error.message or error}")
    if config is not None and "httpx" in sys.modules:
        from qwen3_rag.query.llm import why_no_answer

        if reason := why_no_answer(error, config):
            return UnavailableError(reason)
    return None
