"""How a service is run: where it listens, who may ask, how much, and what may be written."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from qwen3_rag.errors import ConfigError

PORT = 8765
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", re.ASCII)


@dataclass(frozen=True)
class ServeSettings:
    """Checked when it is made.

    Args:
        host: the address to listen at; any but a loopback one needs a token.
        port: 0 takes a free one.
        token: what `Authorization: Bearer` must hold.
        allowed_hosts: further names by which clients call this machine (in the header Host).
        allow_write: callers may ingest.
        write_roots: the folders below which lies what they ingest.
        watch: files and folders that the service keeps the collection in line with.
        running: questions that are worked on at once; their texts share the models' batches.
        waiting: questions that may wait for their turn; for one more the answer is "503, try again".
        timeout: seconds for a question, its waiting included; an answer has `llm_timeout` on top.
        body_bytes: length of a request.
        body_seconds: how long a request may take to arrive.
        grace: seconds in which running work may end when the service is stopped.

    Raises:
        ConfigError: another host without a token, a name that is none, a bound out of its bounds.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: SecretStr | None = None
    allowed_hosts: Sequence[str] = ()
    allow_write: bool = False
    write_roots: Sequence[Path] = field(default_factory=lambda: (Path.cwd(),))
    watch: Sequence[Path] = ()
    running: int = 16
    waiting: int = 256
    timeout: float = 60.0
    body_bytes: int = 8 << 20
    body_seconds: float = 30.0
    grace: float = 30.0

    def __post_init__(self) -> None:
        token = self.token.get_secret_value() if self.token is not None else None
        if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token and token):
            raise ConfigError(
                "QWEN3_RAG_API_TOKEN is empty or holds a space, a line break or a letter that HTTP cannot send; give "
                "another one, such as of `openssl rand -hex 32`"
            )
        if token is None and not self.is_loopback:
            raise ConfigError(
                f"--host {self.host} can be reached from other machines, and there is no token to keep strangers out; "
                "set QWEN3_RAG_API_TOKEN, or leave --host out"
            )
        for name in self.allowed_hosts:
            if not _NAME.fullmatch(name):
                raise ConfigError(f"--allow-host {name!r} is no host name; give one like kb.example.org, without port")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def allows_host(self, name: str) -> bool:
        """Whether a client may have called this service by this name (of the header Host, without its port).

        A page of another site that points its own name at this machine (DNS rebinding) comes with its own name, never
        with an address: where other machines may ask, every address is one of ours.
        """
        name = name.lower().rstrip(".")
        own = {*LOOPBACK_NAMES, self.host.lower(), *(one.lower() for one in self.allowed_hosts)}
        if name in own:
            return True
        if self.is_loopback:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in (socket.gethostname().lower(), socket.getfqdn().lower())
        return True

    def may_write(self, path: str) -> bool:
        """Whether a path, links followed, lies below one of `write_roots`."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(os.path.realpath(root)) for root in self.write_roots)
