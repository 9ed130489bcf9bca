"""`GET /sources` and `GET /passages`: which documents there are, and reading on in one."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from qwen3_rag.query.rows import SourceList
from qwen3_rag.serve.failures import HttpError
from qwen3_rag.serve.service import Service

MAX_COUNT = 1_000
_DEFAULT_LIMIT, _DEFAULT_COUNT = 100, 10


async def sources(service: Service, request: Request) -> Response:
    _check(request, {"prefix", "limit", "collection"})
    limit = _number(request, "limit", _DEFAULT_LIMIT, least=1)
    session = await service.session(request.query_params.get("collection"))
    prefix = request.query_params.get("prefix", "")
    found = await service.work(request, lambda: asyncio.to_thread(session.sources, prefix))
    return JSONResponse(SourceList.of(found, limit).model_dump())


async def passages(service: Service, request: Request) -> Response:
    _check(request, {"source", "from", "count", "collection"})
    source = request.query_params.get("source")
    if not source:
        raise HttpError(422, "'source' is missing: give the name of a document, as a search shows it")
    start = _number(request, "from", 0, least=0, most=None)
    count = _number(request, "count", _DEFAULT_COUNT, least=1)
    session = await service.session(request.query_params.get("collection"))
    found = await service.work(request, lambda: asyncio.to_thread(session.show, source, start, count))
    return JSONResponse(found.model_dump())


def _check(request: Request, known: set[str]) -> None:
    if unknown := set(request.query_params) - known:
        raise HttpError(422, f"{min(unknown)[:80]!r} is no parameter of {request.url.path}; there are {sorted(known)}")


def _number(request: Request, name: str, default: int, *, least: int, most: int | None = MAX_COUNT) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < least or int(text) > (most or int(text)):
        bound = f"from {least} to {most}" if most else f"of at least {least}"
        raise HttpError(422, f"{name}={text[:40]!r} must be a number {bound}; give one of these")
    return int(text)
