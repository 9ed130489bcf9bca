"""Requests to one server: one client, retries with backoff, a bound on the time, errors that name the address."""

import asyncio
import json
import time
import weakref
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay
from tenacity.wait import wait_random_exponential

from qwen3_inference.errors import EngineResponseError, EngineUnavailableError
from qwen3_inference.local.settings import check_positive
from qwen3_inference.remote.address import BearerAuth, Route, check_base_url, check_key, is_loopback
from qwen3_inference.remote.background import BACKGROUND
from qwen3_inference.remote.failures import PassingError, refusal, server_message
from qwen3_inference.remote.limiter import AdaptiveLimiter, NothingAnsweredError

_CONNECT_SECONDS = 10.0
_ATTEMPTS = 4
"""Of a request that fails. An overloaded server is asked again for as long as the timeout lets it."""
_backoff = wait_random_exponential(multiplier=0.25, max=8)


@dataclass(frozen=True)
class Endpoint:
    """A server and how it is asked, checked when made.

    Raises:
        ValueError: the address, the key or a number is out of its bounds.
    """

    base_url: str
    model: str
    api_key: SecretStr | None
    concurrency: int
    timeout: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", check_base_url(self.base_url))
        object.__setattr__(self, "api_key", check_key(self.api_key, self.base_url))
        if not isinstance(self.model, str) or not self.model.strip():
            raise ValueError(f"model={self.model!r} must be the name that the server has for the model")
        check_positive("concurrency", self.concurrency)
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float) or not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout!r} must be a number of seconds above 0")


class Transport:
    """Sends to an endpoint, from the background loop; its connections are made there at the first use."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._made: _Session | None = None

    @property
    def session(self) -> "_Session":
        """What belongs to this process and loop: a forked child makes its own."""
        if self._made is None or self._made.loop is not asyncio.get_running_loop():
            self._made = _Session(self.endpoint)
        return self._made

    async def post(self, route: Route, body: dict[str, Any]) -> Any:
        """The JSON that the server answers with.

        Raises:
            EngineUnavailableError: no answer, or none but refusals for now, within the endpoint's `timeout`.
            EngineResponseError: the answer is no JSON.
            RefusedError: the server refuses the content.
            ValueError: address, model or key are wrong.
        """
        url, timeout = route.below(self.endpoint.base_url, self.endpoint.model), self.endpoint.timeout
        session, failures = self.session, [f"no answer within timeout={timeout:g} seconds"]
        sent = time.monotonic()
        try:
            async with session.limiter.slot(timeout) as deadline:
                left = max(0.0, deadline - time.monotonic())
                async with asyncio.timeout(left):
                    return await _retrying(left)(self._once, session, url, body, failures)
        except (TimeoutError, NothingAnsweredError) as error:
            session.limiter.overloaded(sent)
            raise self._unavailable(url, failures) from error
        except PassingError as error:
            raise self._unavailable(url, failures) from error

    async def _once(self, session: "_Session", url: str, body: dict[str, Any], failures: list[str]) -> Any:
        sent = time.monotonic()
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        try:
            response = await session.client.post(url, content=content, headers={"Content-Type": "application/json"})
            if not response.is_success:
                said = self.hidden(server_message(response))[:300]
                raise refusal(response, url, self.endpoint.model, said)
        except httpx.DecodingError as error:
            raise EngineResponseError(f"{url} answers with a damaged body: {error}") from error
        except httpx.TransportError as error:
            failures.append(_named(error))
            raise PassingError(failures[-1]) from error
        except PassingError as error:
            failures.append(str(error))
            if error.is_overload:
                session.limiter.overloaded(sent)
            raise
        session.limiter.answered()
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError) as error:
            kind = response.headers.get("content-type", "no content type")
            begin = self.hidden(" ".join(response.text.split()))[:80]
            raise EngineResponseError(f"{url} answers with {kind} that is no JSON: {begin!r} ({error})") from error

    def _unavailable(self, url: str, failures: list[str]) -> EngineUnavailableError:
        tried = f" after {len(failures) - 1} attempts" if len(failures) > 2 else ""
        return EngineUnavailableError(
            f"the model server at {url} is not available{tried}: {failures[-1].rstrip('.')}. Check that it runs and "
            f"that base_url is its address; raise timeout={self.endpoint.timeout:g} or lower concurrency where it is "
            "only slow"
        )

    def hidden(self, text: str) -> str:
        """A text of the server's without the key, if it repeats it; to be called before a text is cut."""
        key = self.endpoint.api_key
        return text.replace(key.get_secret_value(), "**********") if key else text


class _Session:
    """A client and its limiter, of one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.loop = asyncio.get_running_loop()
        self.limiter = AdaptiveLimiter(endpoint.concurrency)
        self.describing, self.first_use = asyncio.Lock(), asyncio.Lock()
        self.client = httpx.AsyncClient(
            auth=BearerAuth(endpoint.api_key) if endpoint.api_key else None,
            timeout=httpx.Timeout(None, connect=min(_CONNECT_SECONDS, endpoint.timeout)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=endpoint.concurrency),
            follow_redirects=False,
            trust_env=not is_loopback(urlsplit(endpoint.base_url).hostname or ""),  # a proxy does not see this machine
        )
        weakref.finalize(self, BACKGROUND.call_soon, self.loop, self.client.aclose)


def _retrying(seconds: float) -> AsyncRetrying:
    def pause(state: RetryCallState) -> float:
        return max(_backoff(state), _failure(state).pause or 0.0)

    in_time = stop_before_delay(seconds)

    def stop(state: RetryCallState) -> bool:
        return in_time(state) or (state.attempt_number >= _ATTEMPTS and not _failure(state).is_overload)

    return AsyncRetrying(
        retry=retry_if_exception_type(PassingError),
        wait=pause,
        stop=stop,
        sleep=asyncio.sleep,
        reraise=True,
    )


def _failure(state: RetryCallState) -> PassingError:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, PassingError) else PassingError("")


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
