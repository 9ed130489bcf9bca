"""`GET /`: the page, which asks this service."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from qwen3_rag.pages.service import service_page
from qwen3_rag.serve.service import Service


async def page(service: Service, request: Request) -> Response:
    """At once, also while the models are loading: it says so, and holds no data."""
    html, headers = service_page()
    return Response(html, headers=headers)
