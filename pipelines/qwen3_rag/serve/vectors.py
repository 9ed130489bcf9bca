"""The two models for other programs: `POST /v1/embeddings` as OpenAI's, `POST /v1/rerank` as Cohere's and Jina's."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from qwen3_inference import use_instruction
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from qwen3_rag.errors import ConfigError, NotThereError
from qwen3_rag.serve.bodies import EmbeddingsBody, RerankBody, read_body
from qwen3_rag.serve.service import Service


async def embeddings(service: Service, request: Request) -> Response:
    body = await read_body(request, EmbeddingsBody, service.settings)
    session = await service.session()
    name = session.models.identity.name
    _check_model(body.model, name, session.config.embed_model, session.config.embedder_name)
    rows = await service.work(request, lambda: _embed(session.models.embed, body))
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(row) if body.encoding_format == "base64" else row}
        for index, row in enumerate(rows)
    ]
    return JSONResponse({"object": "list", "data": data, "model": name})


async def rerank(service: Service, request: Request) -> Response:
    body = await read_body(request, RerankBody, service.settings)
    session = await service.session()
    name, reranker = session.config.reranker_name, session.models.rerank
    if reranker is None or name is None:
        raise NotThereError("this service has no reranker; start it with --rerank-model")
    _check_model(body.model, name, session.config.rerank_model, session.config.embed_model)
    ranked: Any = getattr(reranker, "arank", None)

    async def rank() -> list[Any]:
        try:
            found: list[Any] = await ranked(body.query, body.texts, top_n=body.top_n, instruction=body.instruction)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return found

    results = [
        {"index": one.index, "relevance_score": one.score}
        | ({"document": {"text": one.text}} if body.return_documents else {})
        for one in await service.work(request, rank)
    ]
    return JSONResponse({"id": uuid.uuid4().hex, "model": name, "results": results})


async def models(service: Service, request: Request) -> Response:
    session = await service.session()
    names = (session.models.identity.name, session.config.reranker_name)
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "qwen3-rag"} for name in dict.fromkeys(names)]
    return JSONResponse({"object": "list", "data": [one for one in data if one["id"] is not None]})


async def _embed(model: BaseEmbedding, body: EmbeddingsBody) -> list[list[float]]:
    try:
        # Copies share the loaded weights.
        if body.dimensions is not None:
            model = model.model_copy(update={"dimensions": body.dimensions})
        if body.input_type == "document":
            if body.instruction is not None:
                model = model.model_copy(update={"text_instruction": body.instruction})
            return await model.aget_text_embedding_batch(body.texts)
        with use_instruction(query=body.instruction):
            # Each by itself: those of all clients that wait at the same time become one batch.
            return list(await asyncio.gather(*(model.aget_query_embedding(text) for text in body.texts)))
    except ValueError as error:  # what the model says to texts and dimensions it cannot take
        raise ConfigError(str(error)) from error


def _check_model(asked: str | None, name: str, *also: str) -> None:
    """Another model's vectors must not pass for those that were asked for."""
    known = {name, *also}
    if asked and asked not in known | {one.rstrip("/").rsplit("/", 1)[-1] for one in known}:
        raise NotThereError(f"model {asked[:100]!r} is not served here; this is {name!r}")


def _base64(row: Sequence[float]) -> str:
    return base64.b64encode(np.asarray(row, "<f4").tobytes()).decode()
