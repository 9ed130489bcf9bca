"""The two models of a configuration, and the identity by which a collection remembers its embedding model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.model_servers import ServedEmbedding, served_embedding, served_reranker

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.postprocessor.types import BaseNodePostprocessor


@dataclass(frozen=True)
class ModelIdentity:
    """What decides whether two vectors can be compared. Recorded in the collection's properties.

    `revision` is the hub commit, or for a local folder `sha256:` and a fingerprint of its files.
    """

    name: str
    revision: str
    dimension: int

    def same_model(self, other: ModelIdentity) -> bool:
        """Equal files are the same model wherever they lie; hub models need name and commit equal."""
        if self.revision.startswith("sha256:"):
            return self.revision == other.revision
        return (self.name, self.revision) == (other.name, other.revision)

    def __str__(self) -> str:
        return f"{self.name} (revision {self.revision}, {self.dimension} dimensions)"


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
    if config.embed_url:
        return _identify_served(served_embedding(config), config)
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


def load_models(config: RagConfig, *, rerank: bool = True) -> Models:
    """The two adapters, ready to use. Weights are read at the first call; models on servers are asked by HTTP.

    >>> models = load_models(RagConfig(embed_model="tiny"))
    >>> type(models.embed).__name__, type(models.rerank).__name__
    ('Qwen3Embedding', 'Qwen3Rerank')
    """
    reranker = load_reranker(config) if rerank else None  # its settings are checked before a server is asked
    if not config.embed_url:
        identity = identify(config)
        return Models(load_embedder(config), identity, reranker)
    engine = served_embedding(config)
    return Models(load_embedder(config, engine), _identify_served(engine, config), reranker)


def load_embedder(config: RagConfig, engine: ServedEmbedding | None = None) -> BaseEmbedding:
    """`Qwen3Embedding` as configured. `engine`: the one to use for `embed_url`; None makes another."""
    from llama_index.embeddings.qwen3 import Qwen3Embedding

    query_instruction = _first(config.query_instruction, config.instruction)
    if config.embed_url:
        engine = engine or served_embedding(config)
        return Qwen3Embedding(engine=engine, query_instruction=query_instruction, dimensions=config.dimensions)
    try:
        return Qwen3Embedding(
            model_name=config.embedder_name,
            query_instruction=query_instruction,
            dimensions=config.dimensions,
            device=config.device,
            dtype=config.dtype,
            revision=config.embed_revision,
            cache_folder=config.cache_folder,
        )
    except ValueError as error:
        raise ConfigError(f"--embed-model {config.embed_model}: {error}") from error


def load_reranker(config: RagConfig, top_n: int | None = None) -> BaseNodePostprocessor | None:
    """`Qwen3Rerank` as configured, or None with `rerank_model="none"`."""
    name = config.reranker_name
    if name is None:
        return None
    from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

    top_n, instruction = top_n or config.top_n, _first(config.rerank_instruction, config.instruction)
    if config.rerank_url:
        return Qwen3Rerank(engine=served_reranker(config, name), top_n=top_n, instruction=instruction)
    try:
        return Qwen3Rerank(
            model=name,
            top_n=top_n,
            instruction=instruction,
            device=config.device,
            dtype=config.dtype,
            revision=config.rerank_revision,
            cache_folder=config.cache_folder,
        )
    except ValueError as error:
        raise ConfigError(f"--rerank-model {config.rerank_model}: {error}") from error


def hub_advice(error: Exception) -> str:
    """The hub's error with the two ways out, in the command line's own words."""
    return f"{error}. With the command line: --embed-model tiny, or --embed-model FOLDER"


def _identify_served(engine: ServedEmbedding, config: RagConfig) -> ModelIdentity:
    dimension = engine.embed_documents(["width"], dimensions=config.dimensions).shape[1]
    name, _, revision = engine.identity.rpartition("@")
    return ModelIdentity(name, revision, dimension)


def _first(own: str | None, both: str | None) -> str | None:
    """The stage's own instruction, the empty one included, else the one for both."""
    return both if own is None else own
