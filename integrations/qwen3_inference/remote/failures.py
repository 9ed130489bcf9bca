"""What a server's refusal means: to be tried again, to be split, to be mended by the caller."""

import json
import re
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx

OVERLOADED = frozenset({429, 503, 529})
_FINAL_5XX = frozenset({501, 505})
_PASSING_4XX = frozenset({408, 409, 425, 429})
_LENGTH = re.compile(
    r"too (large|long)|exceed|longer than|maximum context|max\w* (context|input|model|sequence)?\s*length|"
    r"context (length|size|window)|less than \d+ tokens",
    re.IGNORECASE,
)


class PassingError(Exception):
    """A request that may be sent again; never leaves this package. `pause`: seconds that the server asks for."""

    def __init__(self, message: str, pause: float | None = None, *, is_overload: bool = False) -> None:
        super().__init__(message)
        self.pause = pause
        self.is_overload = is_overload


class RefusedError(ValueError):
    """The server refuses what was asked. With several texts in it, each part may be asked again by itself."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status

    @property
    def names_length(self) -> bool:
        """Whether the server says that something is too long."""
        return self.status == 413 or bool(_LENGTH.search(str(self)))


def refusal(response: httpx.Response, url: str, model: str, said: str) -> PassingError | ValueError:
    """What a response that is no success means; `said` is the server's own message.

    A PassingError may be tried again, a RefusedError is about the content, any other ValueError about address, model
    or key.
    """
    status = response.status_code
    answer = f"{url} answers {status}: {said}"
    if response.is_redirect:
        target = str(response.headers.get("location", "")).partition("?")[0]
        return ValueError(f"{url} redirects to {target[:200]!r}, which is not followed; give that server as base_url")
    if status in (401, 403):
        return ValueError(f"{answer}; give the key of this server as api_key")
    if status in (404, 405):
        return ValueError(
            f"{answer}; check base_url (with the path that the server has before its routes), dialect, and "
            f"model={model!r}, which must be the name it is served under"
        )
    if status >= 500 and _LENGTH.search(said):
        return RefusedError(answer, status)
    if status in _PASSING_4XX or (status >= 500 and status not in _FINAL_5XX):
        return PassingError(answer, _pause(response), is_overload=status in OVERLOADED)
    return RefusedError(answer, status)


def server_message(response: httpx.Response) -> str:
    """What the server says of an error, from the shapes that servers have for it."""
    try:
        content: Any = json.loads(response.content)
    except (ValueError, RecursionError):
        content = response.text
    for key in ("error", "message", "detail", "msg"):
        if isinstance(content, dict) and content.get(key):
            content = content[key]
    return " ".join(str(content).split()) or "nothing"


def _pause(response: httpx.Response) -> float | None:
    """Retry-After in seconds: a number or a date."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        pause = float(value)
    except ValueError:
        try:
            pause = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return max(0.0, pause) if pause == pause else None
