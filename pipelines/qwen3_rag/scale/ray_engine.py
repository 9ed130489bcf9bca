"""The steps of a run on Ray Data: actors that hold a model or a client, streamed with backpressure.

Only the names of shards pass through Ray; their content goes through the work folder. An actor that dies is made again
by Ray, and its shard done again.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qwen3_rag.errors import ConfigError, RagError, UnavailableError
from qwen3_rag.explain import explain
from qwen3_rag.extras import require
from qwen3_rag.scale.plan import Stage

MAX_BLOCKS = 10_000
"""Tasks that Ray is given at once; of more shards, some go together."""
_CUTTERS = 4
_SERVED = 8
"""Workers for a model server: they wait for it."""
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class RayEngine:
    """An `Engine` on Ray.

    Args:
        address: of a cluster: "auto", `host:port`; None: the one this process has joined, else that of `RAY_ADDRESS`,
            else one is started on this machine.
        workers: actors that embed; None: a GPU each, else one a machine, or eight where a server embeds.
        writers: actors that write to Milvus. `milvus-lite server` takes one.
        served: the embedding model is behind a server, and actors need no cores.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: there is no cluster at the address.
    """

    address: str | None = None
    workers: int | None = None
    writers: int = 1
    served: bool = False

    def __post_init__(self) -> None:
        require("ray")
        for name, value in (("workers", self.workers), ("writers", self.writers)):
            if value is not None and not 1 <= value <= 10_000:
                raise ConfigError(f"{name}={value} must be 1 to 10,000")

    def __call__(self, items: Sequence[Any], stages: Sequence[Stage]) -> Iterator[Any]:
        self.connect()
        import ray

        given = [{"item": pickle.dumps(item)} for item in items]
        dataset = ray.data.from_items(given, override_num_blocks=min(len(given), MAX_BLOCKS))
        for stage in stages:
            dataset = dataset.map_batches(
                _Step, fn_constructor_args=(stage.make,), batch_size=1, **self._resources(stage.kind)
            )
        yield from results(dataset)

    def cut_rows(self, dataset: Any, make: Callable[[], Callable[[Any], Any]], rows: int) -> Iterator[Any]:
        """The rows of a `ray.data.Dataset`, so many at a time, through a step."""
        self.connect()
        cut = dataset.map_batches(
            _RowsStep,
            fn_constructor_args=(make,),
            batch_size=rows,
            batch_format="pyarrow",
            **self._resources("cut", anywhere=True),
        )
        yield from results(cut)

    def connect(self) -> None:
        """Join the cluster, or start one on this machine."""
        import ray
        import ray.data

        if not ray.is_initialized():
            address = self.address or os.environ.get("RAY_ADDRESS") or "local"
            local = {"include_dashboard": False} if address == "local" else {}
            try:
                _knock(address)
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **local)
            except (OSError, ValueError, RuntimeError) as error:
                raise UnavailableError(
                    f"no Ray cluster at {address}: {error}; check --ray-address, or leave it out"
                ) from error
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        for name in ("ray.data", "ray.data._internal.execution.streaming_executor"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def _resources(self, kind: str, anywhere: bool = False) -> dict[str, Any]:
        """What a step's actors are and need, as arguments of `map_batches`."""
        import ray

        cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        if kind == "load":
            return {"compute": _pool(self.writers), "num_cpus": 0}
        if kind == "cut":
            found: dict[str, Any] = {"compute": _pool(max(1, min(_CUTTERS, sum(cpus) // 2))), "num_cpus": 1}
            if not anywhere:  # files are read where they were found
                found["label_selector"] = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
            return found
        if self.served:
            return {"compute": _pool(self.workers or _SERVED), "num_cpus": 0}
        gpus = int(ray.cluster_resources().get("GPU", 0))
        if gpus:
            return {"compute": _pool(self.workers or gpus), "num_gpus": 1}
        workers = self.workers or max(1, sum(one > 0 for one in cpus))
        return {"compute": _pool(workers), "num_cpus": cores_each(cpus, workers)}


def cores_each(cores: Sequence[int], workers: int) -> int:
    """The most cores that so many workers can have each, none of them on two machines.

    >>> cores_each([16, 16], 2), cores_each([16, 16], 3)
    (16, 8)

    Raises:
        ConfigError: there are fewer cores.
    """
    for each in range(max(cores, default=0), 0, -1):
        if sum(one // each for one in cores) >= workers:
            return each
    raise ConfigError(f"{workers} workers need a core each, and the cluster has {sum(cores)}; give fewer --ray-workers")


def results(dataset: Any) -> Iterator[Any]:
    """What came out of the steps of a dataset; the error of a step is raised."""
    from ray.exceptions import RayError, RayTaskError

    try:
        for row in dataset.iter_rows():
            result = pickle.loads(row["item"])  # noqa: S301  our own
            if isinstance(result, _Failure):
                raise result.kind(result.message)
            yield result
    except RayTaskError:  # a bug: it has the traceback
        raise
    except RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UnavailableError(
            f"Ray failed: {lines[0]} ({lines[-1].strip()}); every machine needs this package and its extras, the same "
            "command again goes on from here"
        ) from error


@dataclass(frozen=True)
class _Failure:
    """An error that a user can act on, on its way to the driver: Ray would wrap it in tracebacks."""

    kind: type[RagError]
    message: str


class _Step:
    """A stage in an actor: made at the first item, so that what is wrong is told as any other error."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._make = make
        self._step: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        items = [pickle.loads(item) for item in batch["item"]]  # noqa: S301  our own
        return {"item": [pickle.dumps(self._result(item)) for item in items]}

    def _result(self, item: Any) -> Any:
        if isinstance(item, _Failure):
            return item
        try:
            self._step = self._step or self._make()
            return self._step(item)
        except Exception as error:
            known = explain(error)
            if known is None:
                raise
            return _Failure(type(known), str(known))


class _RowsStep(_Step):
    """The same for a table of rows."""

    def __call__(self, batch: Any) -> dict[str, list[bytes]]:
        return {"item": [pickle.dumps(self._result(batch.to_pylist()))]}


def _knock(address: str) -> None:
    """Ray itself waits for minutes where nothing listens, and cannot be interrupted meanwhile."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


def _pool(size: int) -> Any:
    import ray.data

    return ray.data.ActorPoolStrategy(size=size)
