"""Where a command gets its answers: from a running service, or from models and a database opened here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_rag.cli.console import note
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, RagError

if TYPE_CHECKING:
    from qwen3_rag.serve.remote_session import RemoteSession
    from qwen3_rag.session import Session

HERE = "none"
"""What `--server` says where no service is to be asked."""


def session_for(config: RagConfig, *, writes: bool = False) -> Session | RemoteSession:
    """The service of `--server`, else the one that holds the database, else a session of this process.

    Raises:
        RagError: the named service cannot be asked, or a setting that was given is not the service's.
    """
    found = service_for(config, writes=writes)
    if found is not None:
        return found
    from qwen3_rag.session import Session

    return Session(config)


def service_for(config: RagConfig, *, writes: bool = False) -> RemoteSession | None:
    """The service alone. `writes`: one that is only found counts only where it keeps this process from writing."""
    if config.server == HERE:
        return None
    from qwen3_rag.serve.client import ServiceClient
    from qwen3_rag.serve.discovery import announced, database_name
    from qwen3_rag.serve.remote_session import RemoteSession

    if config.server is not None:
        collection = config.collection if "collection" in config.model_fields_set else None
        session = RemoteSession(config, ServiceClient(config.server, config.api_token), collection)
        note(f"asking the service at {config.server}")
        return session
    url = announced(config)
    if url is None or (writes and not config.is_lite):
        return None
    client = ServiceClient(url, config.api_token)
    try:
        health = client.get("/health")
    except ConfigError:  # it wants a token
        raise
    except RagError:  # gone, or another program's by now
        return None
    is_served = config.collection in health.get("collections", ())
    if health.get("database") != database_name(config) or not (is_served or config.is_lite):
        return None
    note(f"asking the service at {url}, which holds this database (--server none: do not)")
    return RemoteSession(config, client, config.collection)
