"""Many clients at once on one warm service: a table, then one JSON line.

    python examples/benchmarks/service_load.py
    python examples/benchmarks/service_load.py --clients 50 --searches 20 --embed-model tiny

The bundled knowledge base is ingested, every question is answered once without a service, in float32, and then by a
`qwen3-rag serve` of its own, asked by all clients at the same time. Each answer is compared with the direct one: the
same passages in the same order in both lists, scores within 1e-5. The clients run in this process, on the same cores:
latencies are those of a machine that does both. Memory is the service's resident size after a first round that is not
counted, and after the last one. At the end a search on the command line is timed against the warm service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import qwen3_rag
from machine import available_cores
from qwen3_rag import RagConfig, Session
from report import number, table

KNOWLEDGE = Path(qwen3_rag.__file__).parent / "knowledge"
SCRIPT = str(Path(sys.executable).with_name("qwen3-rag"))
TOLERANCE = 1e-5


def direct_answers(config: RagConfig, questions: int) -> dict[str, Any]:
    """What a session answers to the headings of as many passages."""
    with Session(config) as session:
        session.ingest([KNOWLEDGE])
        headings = []
        for source in session.sources():
            headings += [one.text.splitlines()[0].lstrip("# ") for one in session.show(source).passages]
        return {
            one: json.loads(json.dumps(session.search(one).to_json()))
            for one in list(dict.fromkeys(headings))[:questions]
        }


def is_same(found: Any, wanted: Any) -> bool:
    """Whether two answers are the same but for rounding."""
    for stage in ("dense", "reranked"):
        rows, expected = found[stage], wanted[stage]
        if [row["node_id"] for row in rows] != [row["node_id"] for row in expected]:
            return False
        if any(abs(row["score"] - other["score"]) > TOLERANCE for row, other in zip(rows, expected, strict=True)):
            return False
    return True


@contextmanager
def service(config: RagConfig, environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [SCRIPT, "serve", "--embed-model", config.embed_model, "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 300
        while not is_up(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the service did not start; start it by hand to see why: " + " ".join(command))
            time.sleep(0.2)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def ask_all(url: str, expected: dict[str, Any], clients: int, searches: int) -> tuple[list[float], int]:
    """Seconds of each search, and how many answers were wrong."""
    questions = list(expected)
    seconds: list[float] = []
    wrong = 0

    async def client(place: int) -> None:
        nonlocal wrong
        async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False) as http:
            for turn in range(searches):
                question = questions[(place * searches + turn) % len(questions)]
                began = time.perf_counter()
                answer = await http.post("/search", json={"query": question})
                seconds.append(time.perf_counter() - began)
                wrong += answer.status_code != 200 or not is_same(answer.json(), expected[question])

    await asyncio.gather(*(client(place) for place in range(clients)))
    return seconds, wrong


def resident_mib(pid: int) -> float | None:
    """None where the system does not say it as Linux does."""
    path = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", path.read_text()) if path.is_file() else None
    return int(found[1]) / 1024 if found else None


def command_seconds(environment: dict[str, str], question: str) -> float:
    """The median of five searches on the command line."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([SCRIPT, "search", question, "--json"], env=environment, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main(clients: int, searches: int, rounds: int, questions: int, embed_model: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        config = RagConfig(embed_model=embed_model, uri=f"{scratch}/load.db", dtype="float32")
        environment = {
            **os.environ,
            "QWEN3_RAG_URI": config.uri,
            "QWEN3_RAG_DTYPE": "float32",
            "XDG_STATE_HOME": scratch,
        }
        expected = direct_answers(config, questions)
        rows: list[dict[str, Any]] = []
        with service(config, environment) as (url, pid):
            asyncio.run(ask_all(url, expected, clients, 2))
            before = resident_mib(pid)
            for turn in range(1, rounds + 1):
                began = time.perf_counter()
                seconds, wrong = asyncio.run(ask_all(url, expected, clients, searches))
                took = time.perf_counter() - began
                cuts = statistics.quantiles(seconds, n=100, method="inclusive")
                rows.append(
                    {
                        "round": turn,
                        "searches": len(seconds),
                        "wrong": wrong,
                        "p50_seconds": cuts[49],
                        "p95_seconds": cuts[94],
                        "searches_per_second": len(seconds) / took,
                        "resident_mib": resident_mib(pid),
                    }
                )
            command = command_seconds(environment, next(iter(expected)))
    head = ("round", "searches", "wrong", "p50 s", "p95 s", "searches/s", "MiB")
    print(table(head, [[number(value) if value else str(value) for value in row.values()] for row in rows]))
    print(f"before: {number(before)} MiB; a search on the command line against the warm service: {number(command)} s")
    settings = {"clients": clients, "embed_model": embed_model, "cores": available_cores()}
    print(json.dumps({**settings, "resident_mib_before": before, "command_seconds": command, "rows": rows}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--searches", type=int, default=20, help="of each client in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=40, help="different ones")
    parser.add_argument("--embed-model", default="tiny")
    options = parser.parse_args()
    main(options.clients, options.searches, options.rounds, options.questions, options.embed_model)
