"""`POST /search` and `POST /ask`, the latter also as a stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from qwen3_rag.query.rows import AnswerResult
from qwen3_rag.serve.bodies import AskBody, QuestionBody, read_body
from qwen3_rag.serve.failures import HttpError, as_http
from qwen3_rag.serve.service import Service
from qwen3_rag.serve.turns import in_time, while_asked
from qwen3_rag.session import Session

Event = tuple[str, Any]
"""Its name and its data, which is written as JSON."""
Events = AsyncGenerator[Event, None]
_LAST_WORDS = 1.0
"""Seconds to tell a client that its answer takes too long."""


async def search(service: Service, request: Request) -> Response:
    body = await read_body(request, QuestionBody, service.settings)
    session = await service.session(body.collection)
    found = await service.work(request, lambda: session.asearch(body.query, **body.wishes()))
    return JSONResponse(found.to_json())


async def ask(service: Service, request: Request) -> Response:
    body = await read_body(request, AskBody, service.settings)
    session = await service.session(body.collection)
    if body.stream:
        return EventStream(service, _events(service, session, body))
    result = await service.work(request, lambda: session.aask(body.query, **body.wishes()), service.answer_seconds)
    return JSONResponse(result.to_json())


async def _events(service: Service, session: Session, body: AskBody) -> Events:
    """The passages, the answer piece by piece, then all of it."""
    async with service.turns.take():
        found = await session.aretrieve(body.query, **body.wishes())
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        yield "passages", found.to_result().to_json()

        async def write() -> AnswerResult:
            try:
                return await session.aanswer(found, pieces.put_nowait)
            finally:
                pieces.put_nowait(None)

        writing = asyncio.create_task(write())
        try:
            while (piece := await pieces.get()) is not None:
                if piece:
                    yield "token", {"text": piece}
            yield "done", (await writing).to_json()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


class EventStream(Response):
    """Server-sent events. What goes wrong before the first one is an answer with its status, later an event `error`."""

    def __init__(self, service: Service, events: Events) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        # How long it is shows at the end.
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        self._service, self._events = service, events
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await in_time(while_asked(receive, self._send_all(send)), self._service.answer_seconds)
        except HttpError as error:  # too late, or nobody is there
            if not self._has_begun:
                await error.response()(scope, receive, send)
            elif error.status == 504:
                with suppress(TimeoutError):  # the client may be what took too long
                    async with asyncio.timeout(_LAST_WORDS):
                        await self._send(send, "error", error.content())
                        await self._end(send)

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events):
            try:
                async for name, data in self._events:
                    await self._send(send, name, data)
            except Exception as error:
                failure = as_http(error, self._service.main.config)
                if not self._has_begun:
                    raise failure from error
                await self._send(send, "error", failure.content())
        await self._end(send)

    async def _end(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, name: str, data: Any) -> None:
        if not self._has_begun:
            self._has_begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        event = f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
