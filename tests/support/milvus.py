"""A real Milvus server (2.3.5) in a folder, started, killed and started again by the tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

SCRIPT = Path(os.environ.get("MILVUS_SERVER", Path(__file__).parents[3] / "shared" / "tools" / "milvus_server.sh"))
"""`milvus_server.sh PORT FOLDER` runs a server and prints `PORT n` when it is up."""
READY = 180.0
PORTS = range(19530, 19560)
"""The server takes the first ones that are free, whatever it is asked for."""


class MilvusServer:
    """`start`, `kill`, `stop`; the data stay in `folder`."""

    def __init__(self, folder: Path) -> None:
        if not SCRIPT.is_file():
            pytest.skip(
                f"no Milvus server can be had: {SCRIPT} is not there; set MILVUS_SERVER to a script that runs one"
            )
        self.folder = folder
        self.uri = ""
        self._others: set[int] | None = None
        """Ports that were held before the first start."""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The address, the same at every start, once the server answers clients."""
        if self._others is None:
            self._others = _held()
        else:
            _wait_for_release(self._others)
        before = self.uri
        self._process = subprocess.Popen(
            ["bash", str(SCRIPT), str(PORTS[0]), str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # the server is its child: both are killed together
        )
        assert self._process.stdout is not None
        line = next((line for line in self._process.stdout if line.startswith("PORT ")), None)
        assert line, "the server ended before it was up"
        self.uri = f"http://127.0.0.1:{line.split()[1]}"
        assert before in ("", self.uri), "another process took the port meanwhile"
        self._wait()
        return self.uri

    def kill(self) -> None:
        """kill -9, in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        os.killpg(self._process.pid, number)
        self._process.wait(60)
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def _wait(self) -> None:
        """A server that was killed may listen before it answers."""
        deadline = time.monotonic() + READY
        while True:
            try:
                client = MilvusClient(uri=self.uri, timeout=5)
                client.list_collections(timeout=5)
                client.close()
                return
            except MilvusException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


def _held() -> set[int]:
    """Those of the ports that the server could not bind. The system holds one for a minute after its last server."""
    held = set()
    for port in PORTS:
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                held.add(port)
    return held


def _wait_for_release(others: set[int], seconds: float = 150) -> None:
    """Until the ports that the last server held can be bound again: it would take others."""
    deadline = time.monotonic() + seconds
    while not _held() <= others and time.monotonic() < deadline:
        time.sleep(0.5)
