"""`GET /health`, `GET /live` and `GET /metrics`."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from qwen3_rag.serve.failures import unavailable
from qwen3_rag.serve.service import Service

_SECONDS = 10.0


async def health(service: Service, request: Request) -> Response:
    """Not in turn with the questions: a busy service is a healthy one."""
    if not service.is_ready:
        loading = unavailable("the service is loading its models", 1)
        body = {"status": "loading", "version": version("llama-index-qwen3"), **loading.content()}
        return JSONResponse(body, loading.status, dict(loading.headers or {}))
    try:
        return JSONResponse(await asyncio.wait_for(asyncio.to_thread(service.health), _SECONDS))
    except TimeoutError:
        raise unavailable(f"the database did not answer within {_SECONDS:g} s") from None


async def live(service: Service, request: Request) -> Response:
    """The process answers, also while models load, when `/health` is 503: for what restarts a process that hangs."""
    return JSONResponse({"status": "live"})


async def metrics(service: Service, request: Request) -> Response:
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
