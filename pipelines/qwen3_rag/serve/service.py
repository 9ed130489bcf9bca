"""What the routes of a service share: its sessions, the turns, the counts, the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from qwen3_rag.errors import NotThereError
from qwen3_rag.serve.agreement import fixed_settings
from qwen3_rag.serve.discovery import database_name
from qwen3_rag.serve.failures import HttpError, as_http, unavailable
from qwen3_rag.serve.jobs import Jobs
from qwen3_rag.serve.metrics import Metrics
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.serve.turns import Turns, in_time, while_asked
from qwen3_rag.session import Session

Result = TypeVar("Result")


class Service:
    """A knowledge base over HTTP, apart from HTTP.

    Args:
        session: the collection that is asked where a request names none. Its models serve all collections.
        also: further collections of the same database, beside those that the configuration describes.
    """

    def __init__(self, session: Session, settings: ServeSettings, also: Sequence[str] = ()) -> None:
        self.main, self.settings = session, settings
        self._also = tuple(dict.fromkeys((*also, *session.config.collections)))
        self.turns = Turns(settings.running, settings.waiting)
        self.metrics = Metrics(self.turns)
        self.jobs = Jobs()
        self.tools: ASGIApp | None = None
        """The MCP server's; set when it runs."""
        self._ready, self._hoping = asyncio.Event(), 0
        self._sessions = {session.config.collection: session}

    def load(self) -> None:
        """Open the collections and load the weights. A collection that may be written to is made where it is missing.

        Raises:
            RagError: a model or the database cannot be used.
        """
        create = self.settings.allow_write or bool(self.settings.watch)
        models = self.main.open(create=create).models
        for name in self._also:
            if name not in self._sessions:
                config = self.main.config.model_copy(update={"collection": name})
                one = Session(config, models=models, llm=None, scope=self.main.scope)
                self._sessions[name] = one.open()
        models.embed.get_query_embedding("warm")
        if (rank := getattr(models.rerank, "rank", None)) is not None:
            rank("warm", ["warm"])

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Those that are open, by collection; the first one is `main`."""
        return self._sessions

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()

    @property
    def is_ready(self) -> bool:
        """Whether the models are loaded, and the service is not being stopped."""
        return self._ready.is_set()

    def set_ready(self, value: bool) -> None:
        if value:
            self._ready.set()
        else:
            self._ready.clear()

    async def wait_ready(self) -> None:
        """Until the models are loaded: who asks too early has no need to ask again.

        Raises:
            HttpError: 503 where that takes too long, or too many wait for it.
        """
        loading = unavailable("the service is loading its models")
        if not self.is_ready and self._hoping >= self.settings.waiting:
            raise loading
        self._hoping += 1
        try:
            await asyncio.wait_for(self._ready.wait(), self.settings.timeout)
        except TimeoutError:
            raise loading from None
        finally:
            self._hoping -= 1

    async def session(self, name: str | None = None) -> Session:
        """The session of a collection, waited for while it is loading.

        Raises:
            HttpError: 503 where it does not become ready.
            NotThereError: this collection is not served.
        """
        await self.wait_ready()
        if name is None:
            return self.main
        if name not in self._sessions:
            raise NotThereError(f"collection {name[:80]!r} is not served here; there is {', '.join(self._sessions)}")
        return self._sessions[name]

    async def work(
        self, request: Request, work: Callable[[], Coroutine[Any, Any, Result]], seconds: float | None = None
    ) -> Result:
        """The result of `work()` in its turn, in time, and only while the client waits for it."""

        async def in_turn() -> Result:
            async with self.turns.take():
                return await work()

        return await in_time(while_asked(request.receive, in_turn()), seconds or self.settings.timeout)

    @property
    def answer_seconds(self) -> float:
        """How long a whole answer may take."""
        return self.settings.timeout + self.main.config.llm_timeout

    def health(self) -> dict[str, Any]:
        """What `/health` says. Asks the database."""
        session = self.main
        models, config = session.models, session.config
        return {
            "status": "ok",
            "collection": config.collection,
            "rows": session.store.count(),
            "embed_model": models.identity.name,
            "rerank_model": config.reranker_name,
            "version": version("llama-index-qwen3"),
            "database": database_name(config),
            "dimensions": models.identity.dimension,
            "collections": list(self._sessions),
            "writable": self.settings.allow_write,
            "settings": fixed_settings(config),
        }


Handler = Callable[[Service, Request], Awaitable[Response]]


def endpoint(service: Service, handle: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint; whatever goes wrong in it is an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(service, request)
        except ClientDisconnect:
            return HttpError(499, "the client has left").response()
        except Exception as error:
            return as_http(error, service.main.config).response()

    return answer
