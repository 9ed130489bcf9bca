"""A real Milvus server (2.3.5) in a folder, started, killed and started again by the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from support.servers import reserved_port

SCRIPT = Path(os.environ.get("MILVUS_SERVER", Path(__file__).parents[3] / "shared" / "tools" / "milvus_server.sh"))
"""`milvus_server.sh PORT FOLDER` runs a server and prints `PORT n` when it is up."""
READY = 180.0


class MilvusServer:
    """`start`, `kill`, `stop`; the data stay in `folder`."""

    def __init__(self, folder: Path) -> None:
        if not SCRIPT.is_file():
            pytest.skip(
                f"no Milvus server can be had: {SCRIPT} is not there; set MILVUS_SERVER to a script that runs one"
            )
        self.folder = folder
        self.uri = ""
        self.port = 0
        """Asked for at every start; a server takes the next one where the old one's is still held."""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The address, once the server answers clients."""
        if not self.port:
            with reserved_port() as self.port:
                pass
        self._process = subprocess.Popen(
            ["bash", str(SCRIPT), str(self.port), str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # the server is its child: both are killed together
        )
        assert self._process.stdout is not None
        line = next((line for line in self._process.stdout if line.startswith("PORT ")), None)
        assert line, "the server ended before it was up"
        self.uri = f"http://127.0.0.1:{line.split()[1]}"
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
