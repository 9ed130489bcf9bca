"""Requests to a running server, with nothing but the standard library."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen


class Server:
    """An OpenAI-compatible server that serves one model."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.model = self._send("/v1/models", None)["data"][0]["id"]

    def post(self, path: str, **body: Any) -> Any:
        """The JSON answer to `body`, to which the served model's name is added."""
        return self._send(path, {"model": self.model, **body})

    def _send(self, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=3600) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise RuntimeError(f"{self.url}{path} answered {error.code}: {error.read()[:300]!r}") from error
        except URLError as error:
            raise RuntimeError(f"no server at {self.url} ({error.reason}); start it or leave its option out") from error
