"""The service as an ASGI application: the table of routes, and what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from qwen3_rag.serve.asking import ask, search
from qwen3_rag.serve.failures import on_error
from qwen3_rag.serve.mcp_route import McpRoute
from qwen3_rag.serve.metrics import Counting
from qwen3_rag.serve.page import page
from qwen3_rag.serve.reading import passages, sources
from qwen3_rag.serve.security import Security
from qwen3_rag.serve.service import Handler, Service, endpoint
from qwen3_rag.serve.status import health, live, metrics
from qwen3_rag.serve.vectors import embeddings, models, rerank
from qwen3_rag.serve.writing import ingest, job

GET: Mapping[str, Handler] = {
    "/health": health,
    "/live": live,
    "/metrics": metrics,
    "/sources": sources,
    "/passages": passages,
    "/v1/models": models,
}
POST: Mapping[str, Handler] = {
    "/search": search,
    "/ask": ask,
    "/v1/embeddings": embeddings,
    "/v1/rerank": rerank,
    "/v2/rerank": rerank,  # where Cohere's newer client asks
    "/ingest": ingest,
}

PUBLIC = frozenset({"/", "/live"})
"""Need no token, for they hold no data."""

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def make_app(service: Service, lifespan: Lifespan | None = None) -> Starlette:
    """The application. It answers 503 until the service is ready.

    >>> service = Service(Session(RagConfig(embed_model="tiny")), ServeSettings())
    >>> uvicorn.run(make_app(service, lifespan_of(service)))
    """
    routes: list[BaseRoute] = [
        *(Route(path, endpoint(service, handle), methods=["GET"]) for path, handle in GET.items()),
        *(Route(path, endpoint(service, handle), methods=["POST"]) for path, handle in POST.items()),
        Route("/", endpoint(service, page), methods=["GET"]),
        Route("/jobs/{job}", endpoint(service, job), methods=["GET"]),
        Route("/mcp", McpRoute(service)),
    ]
    known = frozenset({"/", "/mcp", "/jobs/ID", *GET, *POST})
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Counting, service.metrics, known),
            Middleware(Security, service.settings, PUBLIC),
        ],
        exception_handlers={HTTPException: on_error},
        lifespan=lifespan,
    )
