"""Which settings a running service answers for, and whether they are those that a caller has.

A caller who sets nothing gets what the service was started with. What is set and cannot be sent along with a question
(the models, their numbers, the language model) must be what the service has; that is compared, never passed over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from qwen3_rag.config import RagConfig, secret_settings
from qwen3_rag.errors import ConfigError

SENT = frozenset(
    ("collection", "top_k", "top_n", "mode", "instruction", "query_instruction", "rerank_instruction", "server")
)
"""These go with each question."""
TINY = "tiny"
"""A name, also where a folder called so is at hand."""
FOR_ANSWERS = frozenset(("llm", "llm_base_url", "llm_timeout", "system_prompt"))
FOR_INGESTS = frozenset(("hybrid", "chunk_size", "chunk_overlap", "batch_size"))


def fixed_settings(config: RagConfig) -> dict[str, str]:
    """The settings of which a service has one value, as short digests: to be compared, not to be read.

    Where the database is and the keys are not among them: they say by what right the service itself goes there. Nor is
    what agents are told of collections.
    """
    names = set(RagConfig.model_fields) - SENT - secret_settings() - {"uri", "collections"}
    return {name: _digest(_value(config, name)) for name in sorted(names)}


def check_agreement(config: RagConfig, service: Mapping[str, Any], where: str, wanted: Collection[str] = ()) -> None:
    """Raise ConfigError where a setting that was given is not the service's.

    Args:
        service: what `/health` says.
        wanted: of the settings for answers and for ingests, those that matter now.
    """
    theirs = service.get("settings") or {}
    ignored = SENT | ((FOR_ANSWERS | FOR_INGESTS) - set(wanted))
    for name, digest in fixed_settings(config).items():
        if name in ignored or name not in config.model_fields_set or theirs.get(name) == digest:
            continue
        if name == "rerank_model" and config.rerank_model in ("same", "none"):
            continue  # as the service's, or left out of each question
        known = service.get(name)
        has = f" has {known!r}" if known else ", which holds this database, has another one"
        option = "--" + name.replace("_", "-")
        raise ConfigError(
            f"{option} {getattr(config, name)!r} cannot be had from the service at {where}:"
            f" it{has}; leave {option} out, start the service with it, or ask without a service: stop it, "
            "and give --server none"
        )


def _value(config: RagConfig, name: str) -> Any:
    if name == "embed_model":
        return _model(config.embedder_name)
    if name == "rerank_model":
        try:
            return _model(config.reranker_name)
        except ConfigError:  # "same" without a counterpart: said where it is used
            return None
    return getattr(config, name)


def _model(name: str | None) -> str | None:
    """A folder by its whole path: the caller may stand elsewhere."""
    folder = Path(name).expanduser() if name and name != TINY else None
    return os.path.realpath(folder) if folder and folder.is_dir() else name


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]
