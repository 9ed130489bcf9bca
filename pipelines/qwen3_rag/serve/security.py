"""Who may ask: the headers Host, Origin and Authorization of every request, before anything else is looked at.

Host and Origin keep pages of other sites out, which a browser on this machine may have open: the one against a name
that is pointed at this machine (DNS rebinding), the other against requests across sites.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen3_rag.serve.failures import HttpError
from qwen3_rag.serve.settings import ServeSettings

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]/@\s]+))(?::(?P<port>\d{1,5}))?")


class Security:
    """Middleware that answers what may not be asked. `public` paths need no token."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, public: Collection[str]) -> None:
        self._app, self._settings, self._public = app, settings, public
        self._token = _digest(settings.token.get_secret_value()) if settings.token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope), scope["path"])):
            await refusal.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> HttpError | None:
        hosts = headers.getlist("host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None or not self._settings.allows_host(found["six"] or found["name"]):
            shown = ", ".join(hosts)[:100]
            return HttpError(
                421, f"this service is not called {shown!r}; ask it at its own address, or see --allow-host"
            )
        for origin in headers.getlist("origin"):
            if origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()):
                return HttpError(403, f"a page of {origin[:100]!r} may not ask this service")
        if self._token is None or path in self._public:
            return None
        given = headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        # Digests of equal length: how long the comparison takes says nothing of the token.
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(token.strip()), self._token):
            return None
        what = "a wrong token" if given else "no token"
        return HttpError(
            401,
            f"{what}; send the service's QWEN3_RAG_API_TOKEN as 'Authorization: Bearer TOKEN'",
            {"WWW-Authenticate": "Bearer"},
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
