"""`/mcp`: the MCP server of the same sessions, behind the same checks, in the same turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from qwen3_rag.serve.bodies import read_raw
from qwen3_rag.serve.failures import HttpError, as_http, unavailable
from qwen3_rag.serve.mcp_server import make_server
from qwen3_rag.serve.service import Service
from qwen3_rag.serve.turns import in_time


class McpRoute:
    """An ASGI application that hands requests on to the MCP server, once there is one."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            if scope["method"] != "POST":  # clients ask for a stream beside their calls: there is nothing to tell
                raise HttpError(405, "send calls with POST; this server keeps no sessions", {"Allow": "POST"})
            body = await read_raw(Request(scope, receive), self._service.settings)  # before it takes a turn
            await self._service.wait_ready()
            await in_time(self._call(scope, _again(body, receive), noting), self._service.answer_seconds)
        except ClientDisconnect:
            return
        except Exception as error:
            if not has_begun:
                await as_http(error, self._service.main.config).response()(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._service.turns.take():
            tools = self._service.tools
            if tools is None:
                raise unavailable("the service is being stopped")
            await tools(scope, receive, send)


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives the body that has been read, and then what comes."""
    rest = [body]

    async def give() -> Message:
        if rest:
            return {"type": "http.request", "body": rest.pop(), "more_body": False}
        return await receive()

    return give


@asynccontextmanager
async def serving_tools(service: Service) -> AsyncIterator[None]:
    """Around the time in which the MCP server of an open session runs."""
    server = make_server(service.sessions, service.jobs if service.settings.allow_write else None)
    # Without sessions: every request stands for itself, so clients may come and go. Host and Origin are checked before.
    app = server.streamable_http_app(
        stateless_http=True,
        json_response=True,
        max_request_body_size=service.settings.body_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    async with server.session_manager.run():
        service.tools = app
        try:
            yield
        finally:
            service.tools = None
