"""What the two remote engines share: settings, one description and one transport, pickling, requests in parallel."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Self

from pydantic import SecretStr

from qwen3_inference.engines import Progress
from qwen3_inference.errors import EngineResponseError
from qwen3_inference.local.settings import check_positive
from qwen3_inference.remote.address import Route
from qwen3_inference.remote.background import BACKGROUND
from qwen3_inference.remote.batches import RequestSize, run_requests
from qwen3_inference.remote.description import Description, description_source
from qwen3_inference.remote.failures import RefusedError
from qwen3_inference.remote.transport import Endpoint, Transport


class RemoteEngine:
    """Connects at the first use. Safe to share between threads, event loops and forked processes.

    Methods with an underscore that are asynchronous run in the background loop only. Pickling carries the settings;
    the key is among them, since a worker process elsewhere has no other source, and it stays a SecretStr.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        kind: str,
        settings: dict[str, Any],
        *,
        tokenizer: str | None,
        needed_for: str | None,
        max_length: int,
        batch_size: int,
        server_splits: bool,
    ) -> None:
        self._endpoint = endpoint
        self._settings = {**settings, "api_key": endpoint.api_key}
        self._max_length = check_positive("max_length", max_length)
        self._source = description_source(
            tokenizer,
            endpoint.model,
            kind,
            needed_for=needed_for,
            max_length=max_length,
            server_splits=server_splits,
        )
        self._size = RequestSize(check_positive("batch_size", batch_size))
        self._transport = Transport(endpoint)
        self._described: tuple[Description | None] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self._settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(**self._settings)

    def __repr__(self) -> str:
        shown = {name: value for name, value in self._settings.items() if value is not None}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def model_name(self) -> str:
        return self._endpoint.model

    def describe(self) -> Description | None:
        """The model's tokenizer and prompts, where they are at hand."""
        return BACKGROUND.run(self._description)

    @property
    def max_length(self) -> int:
        """Tokens of a text; fewer than the setting where the model has fewer positions, once it was described."""
        return self._max_length

    async def _description(self) -> Description | None:
        """Read once, by one call at a time."""
        async with self._transport.session.describing:
            if self._described is None:
                description = await asyncio.to_thread(self._source.open)
                if description and description.max_positions:
                    self._max_length = min(self._max_length, description.max_positions)
                self._described = (description,)
        return self._described[0]

    async def _post(self, route: Route, body: dict[str, Any], read: Callable[[Any], Any]) -> Any:
        """What `read` makes of the answer; an answer that cannot be right names the server."""
        answer = await self._transport.post(route, body)
        try:
            return read(answer)
        except EngineResponseError:
            answer = json.loads(self._transport.hidden(json.dumps(answer)))
        try:  # once more, so that the error shows an answer without the key
            return read(answer)
        except EngineResponseError as error:
            self._name_server(error)
            raise

    def _name_server(self, error: EngineResponseError) -> None:
        error.args = (f"{self._endpoint.base_url} ({self.model_name}): {error.args[0]}", *error.args[1:])

    async def _run_distinct(
        self,
        payloads: Sequence[Hashable],
        length: Callable[[Any], int],
        ask: Callable[[list[Any]], Awaitable[Sequence[Any]]],
        noun: str,
        progress: Progress | None,
    ) -> list[Any]:
        """A result for each payload, in order; equal ones are asked once, which keeps ties."""
        places: dict[Hashable, int] = {}
        where = [places.setdefault(payload, len(places)) for payload in payloads]
        distinct, counts = list(places), Counter(where)

        async def ask_for(batch: list[int]) -> Sequence[Any]:
            try:
                return await ask([distinct[index] for index in batch])
            except RefusedError as error:
                if len(batch) > 1 or not error.names_length:
                    raise
                raise RefusedError(
                    f"{noun} {where.index(batch[0])} is too long for the server: {error}; lower max_length to what the "
                    "server takes (with a tokenizer, documents are then cut here), or start it with more",
                    error.status,
                ) from error

        async def report(batch: Sequence[int]) -> None:
            if progress is not None:
                await BACKGROUND.call_back(progress, sum(counts[index] for index in batch))

        results = await run_requests(
            [length(payload) for payload in distinct],
            ask_for,
            size=self._size,
            at_once=self._endpoint.concurrency,
            progress=report,
        )
        return [results[place] for place in where]


def as_secret(api_key: str | SecretStr | None) -> SecretStr | None:
    """Wrapped before anything else happens, so that no error shows it; checked by the Endpoint."""
    return SecretStr(api_key) if isinstance(api_key, str) else api_key


def _rebuilt(engine: type, settings: dict[str, Any]) -> Any:
    return engine(**settings)
