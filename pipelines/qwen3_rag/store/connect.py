"""Opening a Milvus database, with its failures explained: lock held, server away, wrong token, broken files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# pymilvus runs this module anew at its first search, in as many threads as search then. Parts of it that are not there
# by then are imported in a circle, and one of the searches fails.
import scipy.sparse  # noqa: F401
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from qwen3_rag.addresses import is_loopback
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError

CONNECT_SECONDS = 10.0


def client_options(config: RagConfig) -> dict[str, Any]:
    """Arguments of a `MilvusClient` (and of `MilvusVectorStore`, which hands them on). The token is in clear text."""
    options: dict[str, Any] = {"uri": config.uri, "token": config.token.get_secret_value() if config.token else ""}
    if config.is_lite or is_loopback(config.uri):
        # Milvus Lite's server takes pymilvus' ping every 10 seconds for an attack and closes the connection. Proxy
        # variables are for other machines: gRPC obeys them for this one too.
        options["grpc_options"] = {"grpc.keepalive_time_ms": 300_000, "grpc.enable_http_proxy": 0}
    return options


@contextmanager
def client_for(config: RagConfig) -> Iterator[MilvusClient]:
    """A client for a few calls, with the errors of opening explained."""
    with explained(config):
        client = MilvusClient(**client_options(config), timeout=CONNECT_SECONDS)
        try:
            yield client
        finally:
            client.close()


def release_lite(uri: str) -> None:
    """Close a Lite database that this process holds open, for every client of it."""
    if uri.endswith(".db"):
        from milvus_lite.server_manager import server_manager_instance

        server_manager_instance.release_server(uri)


@contextmanager
def explained(config: RagConfig) -> Iterator[None]:
    """Turn the errors of opening `config.uri` into one that says what to do."""
    with _lite_failure() as cause:
        try:
            yield
        except MilvusException as error:
            raise _explain(config, error, cause) from error


def require_database(config: RagConfig) -> None:
    """Fail when a Lite database to be read is not there: opening it would create an empty one."""
    if config.is_lite and not Path(config.uri).exists():
        raise UnavailableError(f"no database at {config.uri!r}; create it with `qwen3-rag ingest PATH`, or give --uri")


def prepare_folder(config: RagConfig) -> None:
    """Make the folder that a new Lite database goes into, and refuse a plain file in its place."""
    if not config.is_lite:
        return
    path = Path(config.uri)
    if path.is_file():
        raise ConfigError(
            f"{config.uri!r} is a file, not a Milvus Lite 3 database (a folder; files of Lite 2 cannot be read); "
            "give another --uri"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot create the folder of {config.uri!r}: {error}; give another --uri") from error


@contextmanager
def _lite_failure() -> Iterator[list[BaseException]]:
    """Collect why Milvus Lite did not start: it logs the exception and hands back nothing."""
    causes: list[BaseException] = []

    class Collect(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.exc_info and record.exc_info[1] is not None:
                causes.append(record.exc_info[1])
                return False
            return True

    collect = Collect()
    manager = logging.getLogger("milvus_lite.server_manager")
    level = manager.level
    manager.setLevel(logging.ERROR)  # its own level: a silenced parent would keep the record from the filter
    manager.addFilter(collect)
    try:
        yield causes
    finally:
        manager.removeFilter(collect)
        manager.setLevel(level)


def _explain(config: RagConfig, error: Any, causes: list[BaseException]) -> Exception:
    from milvus_lite import DataDirLockedError

    cause = causes[0] if causes else None
    if isinstance(cause, DataDirLockedError):
        return UnavailableError(
            f"database {config.uri!r} is in use by another process: Milvus Lite serves one process at a time. Wait for "
            "that process to end, or share the database between several: "
            f"`milvus-lite server --data-dir {config.uri} --host 127.0.0.1 --port 19530`, then "
            "--uri http://127.0.0.1:19530 everywhere"
        )
    if cause is not None:
        return UnavailableError(f"database {config.uri!r} cannot be opened: {cause}; check the path and its rights")
    message = getattr(error, "message", "") or str(error)
    if "auth" in message.lower() or "token" in message.lower():
        return UnavailableError(f"Milvus at {config.uri} refused the token: {message}; check --token")
    return UnavailableError(
        f"Milvus at {config.uri} cannot be used: {message}; check that the server runs and that --uri is right"
    )
