"""A service from its start to its end: the socket, the loading, the watching, the signals, the last requests."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from qwen3_rag.errors import UnavailableError
from qwen3_rag.ingestion.pipeline import IngestOptions
from qwen3_rag.ingestion.pruning import Seen
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.ingestion.watching import keep_in_line
from qwen3_rag.serve.app import Lifespan, make_app
from qwen3_rag.serve.discovery import announcing
from qwen3_rag.serve.jobs import StoppedError
from qwen3_rag.serve.mcp_route import serving_tools
from qwen3_rag.serve.service import Service

Say = Callable[[str], None]


def run_service(service: Service, say: Say) -> None:
    """Serve until SIGTERM or SIGINT: then no request is taken any more, and those that run are answered.

    Args:
        say: is told the address once the service is ready, and what goes on.

    Raises:
        RagError: the address is taken, or a model or the database cannot be used.
    """
    settings = service.settings
    with _listening(settings.host, settings.port) as listener, _signals_end_quietly():
        failures: list[BaseException] = []
        stop = threading.Event()

        def fail(error: BaseException) -> None:
            failures.append(error)
            server.should_exit = True

        url = _url(settings.host, listener.getsockname()[1])
        app = make_app(service, lifespan_of(service, url, say, fail))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(settings.grace)),
                ws="none",
                lifespan="on",
            )
        )
        try:
            server.run(sockets=[listener])
        finally:
            stop.set()
            if service.jobs.stop(settings.grace):
                service.close()
        if failures:
            raise failures[0]


def lifespan_of(
    service: Service, url: str = "", say: Say = lambda _: None, fail: Callable[[BaseException], None] | None = None
) -> Lifespan:
    """The service's time as Starlette wants it: loads beside the first requests, which are told to wait.

    Args:
        url: where it is reached; "" is not announced to the command line.
        fail: called with the error that keeps it from going on.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ending = asyncio.Event()
        living = asyncio.create_task(_live(service, url, say, ending))

        def ended(task: asyncio.Task[None]) -> None:
            if fail is not None and not task.cancelled() and (error := task.exception()) is not None:
                fail(error)

        living.add_done_callback(ended)
        try:
            yield
        finally:
            ending.set()
            if not service.is_ready:
                living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    return lifespan


async def _live(service: Service, url: str, say: Say, ending: asyncio.Event) -> None:
    await _in_thread(service.load)
    async with serving_tools(service):
        with announcing(service.main.config, url) if url else contextlib.nullcontext():
            service.set_ready(True)
            say(_greeting(service, url))
            watching = _watch(service, say)
            try:
                await ending.wait()
            finally:
                service.set_ready(False)
                service.jobs.stopping.set()
                if watching is not None:
                    await asyncio.to_thread(watching.join, service.settings.grace)


async def _in_thread(work: Callable[[], None]) -> None:
    """`work()` in a thread of its own, which does not keep the process from ending when nobody waits any more."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="qwen3-rag-loading", daemon=True).start()
    await done.wait()
    if errors:
        raise errors[0]


def _watch(service: Service, say: Say) -> threading.Thread | None:
    """Keep the collection in line with the watched paths, in a thread."""
    paths = list(service.settings.watch)
    if not paths:
        return None
    options: IngestOptions = {"prune": True, "seen": Seen()}

    def ingest_once() -> IngestReport:
        return service.jobs.now(
            lambda on_progress: service.main.ingest(paths, **{**options, "on_progress": on_progress})  # type: ignore[arg-type]
        )

    def tell(report: IngestReport) -> None:
        if report.has_changed or report.skipped:
            say(f"{report.written} passages written, {report.deleted} removed, {len(report.skipped)} files skipped")

    def watch() -> None:
        try:
            keep_in_line(paths, ingest_once, on_report=tell, on_trouble=say, stop=service.jobs.stopping)
        except StoppedError:
            return
        except Exception as error:  # questions are still answered
            say(f"error: {error}; nothing is watched any more")

    thread = threading.Thread(target=watch, name="qwen3-rag-watch", daemon=True)
    thread.start()
    return thread


def _greeting(service: Service, url: str) -> str:
    names = ", ".join(repr(name) for name in service.health()["collections"])
    return f"serving {names} at {url} (a page for people there, tools for agents at {url}/mcp); Ctrl-C ends it"


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens; clients wait in it until the models are loaded."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnavailableError(f"cannot listen at {host} port {port}: {reason.lower()}; give another --port") from error
    with listener:
        yield listener


def _url(host: str, port: int) -> str:
    """Where this machine itself reaches the service."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  every address, this one among them
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """uvicorn catches the signals, ends, and raises them once more: stopped as asked is no error."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
