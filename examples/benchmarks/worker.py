"""A method in a process of its own, so that its peak memory is its own; the parent decides whose turn it is.

The child answers one JSON line to each JSON line: first whether the method could be loaded, then for each list of jobs
the seconds of every job, the results where asked for, and what the process has used.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from cost import gemm_ceiling, synchronise
from embedders import EMBEDDERS
from embedders import Vllm as VllmEmbedder
from packages import MissingPackageError
from rerankers import RERANKERS
from rerankers import Vllm as VllmReranker
from shapes import SHAPES
from texts import Job


class MethodError(RuntimeError):
    """The method could not be loaded or failed; the message says why."""


@dataclass(frozen=True)
class Setting:
    """What a worker is started with. `method` is a name from the tables, "vllm" or "gemm"."""

    method: str
    kind: str
    folder: str
    shape: str
    device: str
    dtype: str
    threads: int
    url: str = ""


class Here:
    """A method in this process: starts faster and can be debugged, but its peak memory is everybody's."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.method = None if setting.method == "gemm" else _loaded(setting)
        self.passed = "" if self.method is None else str(self.method.passed)

    def run(self, jobs: Sequence[Job], results: bool = False) -> dict[str, Any]:
        return _timed(self.method, jobs, self.setting, results) | {"memory_mib": None}

    def ceiling(self, rows: Sequence[int]) -> float:
        return _best_rate(self.setting, rows)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        self.method = None


class Worker:
    """A method in a process of its own: the parent's side."""

    def __init__(self, setting: Setting, python: str = sys.executable) -> None:
        self.setting = setting
        environment = os.environ | {"OMP_NUM_THREADS": str(setting.threads), "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [python, __file__, json.dumps(asdict(setting))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            self.passed = str(self._answer()["passed"])
        except MethodError:
            self.close()
            raise

    def run(self, jobs: Sequence[Job], results: bool = False) -> dict[str, Any]:
        """Run the jobs one by one. Answers "seconds", "results" (if asked for), "memory_mib", "busy_cores"."""
        return self._ask({"jobs": [asdict(job) for job in jobs], "results": results})

    def ceiling(self, rows: Sequence[int]) -> float:
        """FLOP/s of the matrix products at the best of those numbers of rows; for the method "gemm"."""
        return float(self._ask({"rows": list(rows)})["flops"])

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        stdin = self.process.stdin
        if stdin is None:
            raise MethodError("the worker is closed")
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            raise MethodError(f"{self.setting.method} ended with exit code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise MethodError(str(answer["error"]))
        return answer


def _serve(setting: Setting, questions: TextIO, answers: TextIO) -> None:
    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    import torch

    torch.set_num_threads(setting.threads)
    if setting.method == "gemm":
        answer({"passed": setting.dtype})
        for line in questions:
            answer({"flops": _best_rate(setting, json.loads(line)["rows"])})
        return
    try:
        method = _loaded(setting)
    except MethodError as error:
        answer({"error": str(error)})
        return
    answer({"passed": method.passed})
    for line in questions:
        question = json.loads(line)
        jobs = [Job(job["query"], tuple(job["texts"])) for job in question["jobs"]]
        answer(_timed(method, jobs, setting, question["results"]))


def _loaded(setting: Setting) -> Any:
    try:
        if setting.method == "vllm":
            return (VllmReranker if setting.kind == "reranker" else VllmEmbedder)(setting.url)
        methods: dict[str, Any] = RERANKERS if setting.kind == "reranker" else EMBEDDERS
        return methods[setting.method](Path(setting.folder), setting.device, setting.dtype)
    except (MissingPackageError, RuntimeError) as error:
        raise MethodError(str(error)) from error


def _best_rate(setting: Setting, rows: Sequence[int]) -> float:
    return max(gemm_ceiling(SHAPES[setting.shape], rows, setting.device, setting.dtype).values())


def _timed(method: Any, jobs: Sequence[Job], setting: Setting, wanted: bool) -> dict[str, Any]:
    seconds, results = [], []
    used, began = time.process_time(), time.perf_counter()
    for job in jobs:
        synchronise(setting.device)
        start = time.perf_counter()
        result = method.run(job)
        synchronise(setting.device)
        seconds.append(time.perf_counter() - start)
        results.append(result)
    busy = (time.process_time() - used) / (time.perf_counter() - began)
    answer = {"seconds": seconds, "busy_cores": busy, "memory_mib": peak_memory_mib(setting.device)}
    return answer | {"results": results} if wanted else answer


def peak_memory_mib(device: str) -> float:
    """The most memory this process has held, weights and loading included: the device's for a GPU."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # Libraries may print: only this module writes to what the parent reads.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _serve(Setting(**json.loads(sys.argv[1])), sys.stdin, replies)
