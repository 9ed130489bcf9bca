"""Records what a call reports: instrumentation events and callbacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from pydantic import Field

from qwen3_conformance.outcome import require


@dataclass
class Record:
    """`events` in order; `started` and `ended` callback ids with their payloads."""

    events: list[BaseEvent] = field(default_factory=list)
    started: list[tuple[str, Any]] = field(default_factory=list)
    ended: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, kind: type[BaseEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def require_pairs(self, start: type[BaseEvent], end: type[BaseEvent], when: str) -> None:
        """Every start has its end, never before it; the same for callbacks, by id."""
        open_ones = 0
        for event in self.events:
            open_ones += isinstance(event, start) - isinstance(event, end)
            require(open_ones >= 0, f"{when}: a {end.__name__} came without a {start.__name__} before it")
        starts, ends = len(self.of(start)), len(self.of(end))
        require(
            starts == ends, f"{when}: {starts} {start.__name__} but {ends} {end.__name__}; each start needs its end"
        )
        open_ids = sorted(key for key, _ in self.started)
        closed_ids = sorted(key for key, _ in self.ended)
        require(open_ids == closed_ids, f"{when}: {len(open_ids)} callback starts but {len(closed_ids)} ends")


class _EventHandler(BaseEventHandler):
    record: Record = Field(default_factory=Record)

    @classmethod
    def class_name(cls) -> str:
        return "ConformanceEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> Any:
        self.record.events.append(event)


class _CallbackHandler(BaseCallbackHandler):
    def __init__(self, record: Record, kind: CBEventType) -> None:
        super().__init__([], [])
        self.record, self.kind = record, kind

    def on_event_start(
        self, event_type: CBEventType, payload: Any = None, event_id: str = "", parent_id: str = "", **kwargs: Any
    ) -> str:
        if event_type == self.kind:
            self.record.started.append((event_id, payload))
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: Any = None, event_id: str = "", **kwargs: Any) -> None:
        if event_type == self.kind:
            self.record.ended.append((event_id, payload))

    def start_trace(self, trace_id: str | None = None) -> None:
        return None

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        return None


@contextmanager
def recording(component: Any, kind: CBEventType) -> Iterator[Record]:
    """Everything reported inside the block; assigns `component.callback_manager` as RetrieverQueryEngine does."""
    record = Record()
    handler = _EventHandler(record=record)
    root = get_dispatcher()
    root.event_handlers.append(handler)
    before = component.callback_manager
    component.callback_manager = CallbackManager([_CallbackHandler(record, kind)])
    try:
        yield record
    finally:
        component.callback_manager = before
        root.event_handlers.remove(handler)
