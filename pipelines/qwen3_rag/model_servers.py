"""Models on servers: their engines, with errors in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qwen3_rag.config import RagConfig
from qwen3_rag.config_models import Stage
from qwen3_rag.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from qwen3_inference.engines import Scores, Vectors
    from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine


@dataclass(frozen=True)
class ServedEmbedding:
    """The embedding model of `embed_url`; an `EmbeddingEngine`. It pickles as settings.

    All methods raise:
        ConfigError: what the caller can mend: address, key, name, a text that the server does not take.
        UnavailableError: the server does not answer, or its answer cannot be right.
    """

    engine: RemoteEmbeddingEngine

    @property
    def model_name(self) -> str:
        return self.engine.model_name

    @property
    def identity(self) -> str:
        with speaking_of("embed"):
            return self.engine.identity

    def embed_queries(self, queries: Sequence[str], **options: Any) -> Vectors:
        with speaking_of("embed"):
            return self.engine.embed_queries(queries, **options)

    async def aembed_queries(self, queries: Sequence[str], **options: Any) -> Vectors:
        with speaking_of("embed"):
            return await self.engine.aembed_queries(queries, **options)

    def embed_documents(self, documents: Sequence[str], **options: Any) -> Vectors:
        with speaking_of("embed"):
            return self.engine.embed_documents(documents, **options)

    async def aembed_documents(self, documents: Sequence[str], **options: Any) -> Vectors:
        with speaking_of("embed"):
            return await self.engine.aembed_documents(documents, **options)


@dataclass(frozen=True)
class ServedReranker:
    """The reranker of `rerank_url`; a `RerankEngine`. It raises what `ServedEmbedding` does."""

    engine: RemoteRerankEngine

    @property
    def model_name(self) -> str:
        return self.engine.model_name

    @property
    def identity(self) -> str:
        with speaking_of("rerank"):
            return self.engine.identity

    def score(self, query: str, documents: Sequence[str], **options: Any) -> Scores:
        with speaking_of("rerank"):
            return self.engine.score(query, documents, **options)

    async def ascore(self, query: str, documents: Sequence[str], **options: Any) -> Scores:
        with speaking_of("rerank"):
            return await self.engine.ascore(query, documents, **options)


def served_embedding(config: RagConfig) -> ServedEmbedding:
    """The engine for `embed_url`. Nothing is asked yet.

    Raises:
        ConfigError: a setting is wrong, or two contradict each other.

    >>> served_embedding(RagConfig(embed_url="http://localhost:8000/v1", embed_model="tiny")).model_name
    'tiny'
    """
    from qwen3_inference.remote import RemoteEmbeddingEngine

    with speaking_of("embed"):
        engine = RemoteEmbeddingEngine(
            config.embed_url or "",
            config.embedder_name,
            dialect=config.embed_dialect or "openai",
            tokenizer=config.embed_tokenizer,
            send=config.embed_send or "auto",
            api_key=config.embed_api_key,
            timeout=config.server_timeout,
        )
    return ServedEmbedding(engine)


def served_reranker(config: RagConfig, name: str) -> ServedReranker:
    """The engine for `rerank_url`; `name` is what the server calls the model. Nothing is asked yet.

    Raises:
        ConfigError: a setting is wrong, or two contradict each other.
    """
    from qwen3_inference.remote import RemoteRerankEngine

    with speaking_of("rerank"):
        engine = RemoteRerankEngine(
            config.rerank_url or "",
            name,
            dialect=config.rerank_dialect or "",
            prompt=config.rerank_prompt,
            tokenizer=config.rerank_tokenizer,
            api_key=config.rerank_api_key,
            timeout=config.server_timeout,
        )
    return ServedReranker(engine)


@contextmanager
def speaking_of(stage: Stage) -> Iterator[None]:
    """Around the work of one stage's engine: its errors become the pipeline's, with options for parameters.

    One about NaN is left as it is: whoever knows whose text it was names it, and `explain` knows it.
    """
    from qwen3_inference.errors import (
        EngineResponseError,
        EngineUnavailableError,
        HubUnavailableError,
        NonFiniteResponseError,
    )

    try:
        yield
    except NonFiniteResponseError:
        raise
    except (EngineUnavailableError, EngineResponseError) as error:
        raise UnavailableError(in_options(str(error), stage)) from error
    except HubUnavailableError as error:
        raise UnavailableError(f"{error}. With the command line: --{stage}-tokenizer FOLDER") from error
    except ValueError as error:
        raise ConfigError(in_options(str(error), stage)) from error


def in_options(message: str, stage: Stage) -> str:
    """An engine's message with the names of settings instead of the parameters'.

    >>> in_options("dialect='vllm' needs prompt='tokens'; give api_key", "rerank")
    "--rerank-dialect 'vllm' needs --rerank-prompt 'tokens'; give QWEN3_RAG_RERANK_API_KEY"
    """
    for found, said in (
        (r"\b(dialect|prompt|send|tokenizer|model)=(?=\S)", rf"--{stage}-\1 "),
        (r"\btokenizer=", f"--{stage}-tokenizer"),
        (", dialect, and", f", --{stage}-dialect, and"),
        (r"\bbase_url=", f"--{stage}-url "),
        (r"\bbase_url\b", f"--{stage}-url"),
        (r"\bapi_key\b", f"QWEN3_RAG_{stage.upper()}_API_KEY"),
        (r"raise timeout=\S+ or lower concurrency", "raise QWEN3_RAG_SERVER_TIMEOUT"),
        (r"\btimeout=", "QWEN3_RAG_SERVER_TIMEOUT="),
        (r"lower max_length to what the server takes \([^)]*\)", "lower --chunk-size"),
    ):
        message = re.sub(found, said, message)
    return message
