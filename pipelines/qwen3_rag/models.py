"""The two models of a configuration, and who the embedding model is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.identity import SERVED, ModelIdentity, encode_probes, probe_texts
from qwen3_rag.model_servers import served_embedding, served_reranker

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.postprocessor.types import BaseNodePostprocessor


@dataclass(frozen=True)
class Models:
    """Embedding model, its identity, and the reranker (None with `rerank_model="none"`)."""

    embed: BaseEmbedding
    identity: ModelIdentity
    rerank: BaseNodePostprocessor | None


def identify(config: RagConfig) -> ModelIdentity:
    """Say who the embedding model is. Loads no weights: one that runs here is found (and downloaded if need be), a
    server is asked once.

    Raises:
        UnavailableError: hub or server cannot be reached; the message names the ways out.
        ConfigError: no such model or folder.
    """
    return load_models(config, rerank=False).identity


def load_models(config: RagConfig, *, rerank: bool = True) -> Models:
    """The two adapters, ready to use. Weights are read at the first call; models on servers are asked by HTTP.

    >>> models = load_models(RagConfig(embed_model="tiny"))
    >>> type(models.embed).__name__, type(models.rerank).__name__
    ('Qwen3Embedding', 'PassageRerank')
    """
    reranker = load_reranker(config) if rerank else None  # its settings are checked before a server is asked
    identity = None if config.embed_url else _identify_local(config)
    embedder = load_embedder(config)
    embed = embedder.get_text_embedding_batch
    if identity is None:
        vectors = embed(probe_texts())
        identity = ModelIdentity(config.embedder_name, SERVED, len(vectors[0]), encode_probes(vectors))
    return Models(embedder, replace(identity, embed=embed), reranker)


def load_embedder(config: RagConfig) -> BaseEmbedding:
    """`Qwen3Embedding` as configured. No server is asked yet."""
    from llama_index.embeddings.qwen3 import Qwen3Embedding

    query_instruction = _first(config.query_instruction, config.instruction)
    if config.embed_url:
        engine = served_embedding(config)
        return Qwen3Embedding(engine=engine, query_instruction=query_instruction, dimensions=config.dimensions)
    try:
        return Qwen3Embedding(
            model_name=config.embedder_name,
            query_instruction=query_instruction,
            dimensions=config.dimensions,
            revision=config.embed_revision,
            **_local(config),
        )
    except ValueError as error:
        raise ConfigError(f"--embed-model {config.embed_model}: {error}") from error


def load_reranker(config: RagConfig, top_n: int | None = None) -> BaseNodePostprocessor | None:
    """`Qwen3Rerank` as configured, or None with `rerank_model="none"`."""
    name = config.reranker_name
    if name is None:
        return None
    from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

    from qwen3_rag.headings import PassageRerank

    kind = PassageRerank if config.rerank_context == "headings" else Qwen3Rerank
    top_n, instruction = top_n or config.top_n, _first(config.rerank_instruction, config.instruction)
    if config.rerank_url:
        return kind(engine=served_reranker(config, name), top_n=top_n, instruction=instruction)
    try:
        return kind(
            model=name,
            top_n=top_n,
            instruction=instruction,
            revision=config.rerank_revision,
            **_local(config),
        )
    except ValueError as error:
        raise ConfigError(f"--rerank-model {config.rerank_model}: {error}") from error


def _local(config: RagConfig) -> dict[str, Any]:
    """The settings of both models where they run here; what is not set is the classes' own default."""
    names = ("device", "dtype", "cache_folder", "max_batch_tokens")
    return {name: value for name in names if (value := getattr(config, name)) is not None}


def hub_advice(error: Exception) -> str:
    """The hub's error with the two ways out, in the command line's own words."""
    return f"{error}. With the command line: --embed-model tiny, or --embed-model FOLDER"


def _identify_local(config: RagConfig) -> ModelIdentity:
    from qwen3_inference.errors import CheckpointError, HubUnavailableError
    from qwen3_inference.hub import TINY, in_hub_cache
    from qwen3_inference.local.checkpoint import check_dimensions, open_checkpoint

    name = config.embedder_name
    try:
        found = open_checkpoint(name, "embedding", revision=config.embed_revision, cache_folder=config.cache_folder)
        check_dimensions(config.dimensions, found.largest_dimension, name)
    except HubUnavailableError as error:
        raise UnavailableError(hub_advice(error)) from error
    except CheckpointError as error:
        raise ConfigError(f"--embed-model {config.embed_model}: {error}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    is_named = in_hub_cache(found.folder) or name == TINY
    shown = name if is_named else str(Path(name).expanduser().resolve())
    return ModelIdentity(shown, found.revision, config.dimensions or found.dimension)


def _first(own: str | None, both: str | None) -> str | None:
    """The stage's own instruction, the empty one included, else the one for both."""
    return both if own is None else own
