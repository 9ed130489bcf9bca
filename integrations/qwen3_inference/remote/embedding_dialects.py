"""How each kind of server is asked for vectors: one entry of a table for each.

The client writes prompts, cuts texts and cuts vectors itself, so no request has `dimensions`, `prompt_name` or a
truncation: what a server does there by itself it does in silence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qwen3_inference.remote.address import Route
from qwen3_inference.remote.answers import Reader, bare, listed


@dataclass(frozen=True)
class EmbeddingRequest:
    model: str
    inputs: Sequence[str | list[int]]
    role: str
    """"query" or "document"."""
    instruction: str | None
    """For servers that write the prompt themselves; None: the model's own."""
    as_base64: bool


@dataclass(frozen=True)
class EmbeddingDialect:
    name: str
    route: Route
    body: Callable[[EmbeddingRequest], dict[str, Any]]
    read: Reader
    batch_size: int
    """Texts of a request. More than a server takes is found out and divided."""
    concurrency: int
    takes_tokens: bool = False
    takes_base64: bool = False
    writes_prompt: bool = False
    """The server puts the prompt before the text, cuts it and breaks up control tokens, as our own service does."""


def _openai(asked: EmbeddingRequest) -> dict[str, Any]:
    encoding = "base64" if asked.as_base64 else "float"
    return {"model": asked.model, "input": list(asked.inputs), "encoding_format": encoding}


def _tei(asked: EmbeddingRequest) -> dict[str, Any]:
    return {"inputs": list(asked.inputs), "normalize": True, "truncate": False}


def _ollama(asked: EmbeddingRequest) -> dict[str, Any]:
    return {"model": asked.model, "input": list(asked.inputs), "truncate": False}


def _qwen3_rag(asked: EmbeddingRequest) -> dict[str, Any]:
    body = {**_openai(asked), "input_type": asked.role}
    return body if asked.instruction is None else {**body, "instruction": asked.instruction}


_OPENAI_ROUTE = Route("/embeddings", root="/v1")
_OPENAI_ANSWER = listed("data", value="embedding")

EMBEDDING_DIALECTS = {
    dialect.name: dialect
    for dialect in (
        # vLLM, SGLang, llama.cpp, Infinity and hosted services. vLLM computes 256 texts at once by default.
        EmbeddingDialect(
            "openai", _OPENAI_ROUTE, _openai, _OPENAI_ANSWER, 32, 16, takes_tokens=True, takes_base64=True
        ),
        # 32 texts of a request and 512 of all requests are its defaults; ids would be decoded and encoded again.
        EmbeddingDialect("tei", Route("/embed"), _tei, bare(), 32, 8),
        # OLLAMA_NUM_PARALLEL is 1 by default: a second request waits while the first computes.
        EmbeddingDialect("ollama", Route("/api/embed"), _ollama, bare("embeddings"), 32, 2),
        EmbeddingDialect(
            "qwen3-rag", _OPENAI_ROUTE, _qwen3_rag, _OPENAI_ANSWER, 32, 4, takes_base64=True, writes_prompt=True
        ),
    )
}
