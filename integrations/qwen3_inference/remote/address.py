"""Where a server is and how to show it the key: addresses and keys are checked before anything is sent."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr


@dataclass(frozen=True)
class Route:
    """The path of a call. `root` goes before `path` where the base URL names a host alone.

    A route with an empty root lies beside `/v1` on its server, so that a base URL that ends there is cut.
    """

    path: str
    root: str = ""

    def below(self, base_url: str, model: str = "") -> str:
        """The whole address; `{model}` in the path is the model's name.

        >>> Route("/embeddings", root="/v1").below("http://localhost:8000")
        'http://localhost:8000/v1/embeddings'
        >>> Route("/embeddings", root="/v1").below("https://host/openai/v1/")
        'https://host/openai/v1/embeddings'
        >>> Route("/classify").below("http://localhost:8000/v1")
        'http://localhost:8000/classify'
        """
        base, path = base_url.rstrip("/"), self.path.replace("{model}", model)
        if base.endswith(path):
            return base
        if not self.root:
            return base.removesuffix("/v1") + path
        return base + path if urlsplit(base).path else base + self.root + path


def check_base_url(base_url: str) -> str:
    """`base_url`, where it is the address of an HTTP server.

    Raises:
        ValueError: it is none, or it holds a password, which would be shown with it.
    """
    if not isinstance(base_url, str):
        raise ValueError(f"base_url={base_url!r} must be a string like 'http://localhost:8000'")
    try:
        parts = urlsplit(base_url.strip())
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"base_url is no address ({error}); give one like 'http://localhost:8000'") from None
    if "@" in parts.netloc:
        raise ValueError(f"base_url for {host!r} holds a user name or password; give the key as api_key")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"base_url={base_url!r} must start with http:// or https:// and name a host")
    if parts.query or parts.fragment:
        raise ValueError(f"base_url for {host!r} has a query or a fragment ('?', '#'); give the address before it")
    return base_url.strip()


def check_key(api_key: str | SecretStr | None, base_url: str) -> SecretStr | None:
    """The key as a SecretStr.

    Raises:
        ValueError: no HTTP header takes it, or it would travel unencrypted to another machine.
    """
    if api_key is None:
        return None
    if not isinstance(api_key, str | SecretStr):
        raise ValueError(f"api_key is {type(api_key).__name__}; give a string, a pydantic.SecretStr or None")
    key = api_key if isinstance(api_key, SecretStr) else SecretStr(api_key)
    plain = key.get_secret_value()
    if not plain or not plain.isascii() or not plain.isprintable() or " " in plain:
        raise ValueError(
            "api_key is empty, or has blanks, line ends or characters that no HTTP header takes; give the key alone, "
            "or None for a server without one"
        )
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            f"api_key would travel unencrypted to {parts.hostname!r}; use https://, or a tunnel to this machine "
            "(http:// takes a key for localhost only)"
        )
    return key


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name: nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class BearerAuth(httpx.Auth):
    """Puts the key into the header when a request is sent, so that no other object holds it in plain."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request
