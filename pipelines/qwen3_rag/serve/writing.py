"""`POST /ingest` and `GET /jobs/ID`: what callers may have read into the collection, where they may."""

from __future__ import annotations

import os

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from qwen3_rag.ingestion.pipeline import IngestOptions, check_options
from qwen3_rag.ingestion.report import IngestReport, OnProgress
from qwen3_rag.serve.bodies import IngestBody, read_body
from qwen3_rag.serve.failures import HttpError
from qwen3_rag.serve.service import Service


async def ingest(service: Service, request: Request) -> Response:
    _check_allowed(service)
    body = await read_body(request, IngestBody, service.settings)
    session = await service.session(body.collection)
    for path in body.paths:
        if not os.path.isabs(path):
            raise HttpError(400, f"{path[:200]!r} is a relative path, and the service stands elsewhere; give it whole")
        if not service.settings.may_write(path):
            roots = ", ".join(map(str, service.settings.write_roots))
            raise HttpError(
                403, f"{path[:200]!r} is not below {roots}; start the service with --write-root for other folders"
            )
    options: IngestOptions = {
        "prune": body.prune,
        "include": body.include,
        "exclude": body.exclude,
        "gitignore": body.gitignore,
        "metadata": body.metadata,
        "name": body.name,
    }
    check_options(body.paths, options)

    def work(on_progress: OnProgress) -> IngestReport:
        options["on_progress"] = on_progress
        return session.ingest(body.paths, **options)

    return JSONResponse({"job": service.jobs.add(work).job}, 202)


async def job(service: Service, request: Request) -> Response:
    _check_allowed(service)
    return JSONResponse(service.jobs.get(request.path_params["job"]).to_json())


def _check_allowed(service: Service) -> None:
    if not service.settings.allow_write:
        raise HttpError(403, "this service only reads; start it with --allow-write")
