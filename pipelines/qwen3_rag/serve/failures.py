"""Errors as HTTP answers: `{"error": {"message", "type"}}` with the status that says whose turn it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, NotThereError, describe_invalid
from qwen3_rag.explain import explain
from qwen3_rag.query.rows import NoAnswerError

logger = logging.getLogger(__name__)

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    421: "misdirected_request",
    499: "client_gone",
    500: "internal_error",
    502: "language_model_error",
    503: "unavailable",
    504: "timeout",
}
RETRY_SECONDS = 5
"""When to ask again where nothing better is known."""


class HttpError(Exception):
    """An answer other than 200. `more` stands beside `error` in its body."""

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.headers, self.more = status, headers, more or {}

    def content(self) -> dict[str, Any]:
        """The body."""
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind}, **self.more}

    def response(self) -> JSONResponse:
        return JSONResponse(self.content(), self.status, dict(self.headers or {}))


def unavailable(message: str, seconds: int = RETRY_SECONDS) -> HttpError:
    """503, to be tried again."""
    return HttpError(503, message, {"Retry-After": str(seconds)})


def as_http(error: Exception, config: RagConfig | None = None) -> HttpError:
    """Any error as an answer. What is nobody's fault but ours is logged, and not told."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, HTTPException):
        return HttpError(error.status_code, error.detail, error.headers)
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, NoAnswerError):
        status = 502 if error.result.best else 404
        return HttpError(status, str(error), more={"result": error.result.to_json()})
    known = explain(error, config)
    if isinstance(known, NotThereError):
        return HttpError(404, str(known))
    if isinstance(known, ConfigError):
        return HttpError(400, str(known))
    if known is not None:
        return unavailable(str(known))
    logger.error("a request failed", exc_info=error)
    return HttpError(500, f"internal error ({type(error).__name__}); it is in the service's log")


def _invalid(error: ValidationError) -> HttpError:
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        return HttpError(400, f"the body is no JSON: {details[0]['ctx']['error']}")
    what = "a field of this request"
    return HttpError(422, "; ".join(describe_invalid(one, what) for one in details[:5]))


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """The application's handler for errors of its own, such as an unknown path."""
    return as_http(error).response()
