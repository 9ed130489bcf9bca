"""A running service, asked by this machine's command line or by any program: JSON over HTTP, errors as ours.

The standard library's client: whoever asks a warm service does not wait for imports.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from qwen3_rag.addresses import is_loopback
from qwen3_rag.errors import ConfigError, NotThereError, RagError, UnavailableError
from qwen3_rag.query.rows import AnswerResult, NoAnswerError

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 3_700.0
"""The service has a time of its own, and says when it is over."""
_UNAVAILABLE = (499, 502, 503, 504)


class ServiceClient:
    """One connection, for one thread.

    Args:
        url: where the service is, without a path.
        token: its QWEN3_RAG_API_TOKEN.

    Raises:
        ConfigError: the address is none, or the token would go over the network in clear text.
    """

    def __init__(self, url: str, token: SecretStr | None = None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.path.strip("/"):
            raise ConfigError(f"--server {url!r} must read http(s)://HOST:PORT, such as http://127.0.0.1:8765")
        if token is not None and parts.scheme == "http" and not is_loopback(url):
            raise ConfigError(
                f"--server {url}: QWEN3_RAG_API_TOKEN would go there in clear text; give an https address, or unset it"
            )
        self.url, self._token = url.rstrip("/"), token
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port, timeout=_CONNECT_SECONDS)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET.

        Raises:
            ConfigError: what the caller can mend. UnavailableError: the service, or what it needs, is not there.
        """
        given = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self._read(self._send("GET", f"{path}?{given}" if given else path))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON of a POST; errors as `get`."""
        return self._read(self._send("POST", path, body))

    def events(self, path: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The server-sent events of a POST, as they come."""
        response = self._send("POST", path, body)
        if response.status != 200:
            self._read(response)
        name = ""
        try:
            for raw in response:
                field, _, value = raw.decode().rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._gone(error) from error
        finally:
            self.close()

    def close(self) -> None:
        self._connection.close()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        raw = json.dumps(body).encode() if body is not None else None
        try:
            if self._connection.sock is None:
                self._connection.connect()
                self._socket().settimeout(_ANSWER_SECONDS)
            self._connection.request(method, path, raw, headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error) from error

    def _socket(self) -> socket.socket:
        """The connection's, when it is connected."""
        found: Any = self._connection.sock
        connected: socket.socket = found
        return connected

    def _read(self, response: http.client.HTTPResponse) -> Any:
        try:
            raw = response.read()
            found = json.loads(raw)
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(error) from error
        except ValueError:
            raise UnavailableError(
                f"what answers at {self.url} (status {response.status}) is no service of ours; check --server"
            ) from None
        if response.status < 300:
            return found
        raise as_error(self.url, response.status, found)

    def _gone(self, error: Exception) -> UnavailableError:
        self.close()
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return UnavailableError(f"the service at {self.url} cannot be asked: {reason.lower()}; check that it runs")


def as_error(url: str, status: int, body: Any) -> RagError:
    """An error of the service as if it had been made here."""
    try:
        message = str(body["error"]["message"])
    except (TypeError, KeyError):
        return UnavailableError(f"what answers at {url} (status {status}) is no service of ours; check --server")
    if isinstance(result := body.get("result"), dict):
        return NoAnswerError(message.removeprefix("no answer: "), AnswerResult(**result))
    if status == 401:
        return ConfigError(f"the service at {url}: {message}; here it is taken from the variable of that name")
    if status == 404:
        return NotThereError(message)
    if status in _UNAVAILABLE:
        return UnavailableError(f"the service at {url}: {message}")
    if status >= 500:
        return UnavailableError(f"the service at {url} failed: {message}")
    return ConfigError(message)
