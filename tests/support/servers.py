"""Servers in processes of their own, Milvus Lite's among them, and ports for them."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A free port of 127.0.0.1 for a server that is about to start: bound meanwhile, so that nobody else is given it.

    A server that sets SO_REUSEADDR (uvicorn) or SO_REUSEPORT (gRPC), as this socket does, can bind it too.
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    """Until somebody listens; with what the process wrote in `log` as the error when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def served(command: list[str], log: Path, seconds: float = 120) -> Iterator[int]:
    """The port on which `command --port PORT` listens, until the end; what it prints goes to `log`."""
    with reserved_port() as port, log.open("w") as printed:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=printed, stderr=printed)
        try:
            wait_for(port, process, log, seconds)
            yield port
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def milvus_lite_server(folder: Path) -> Iterator[str]:
    """The address of a server whose data and log are in `folder`."""
    script = str(Path(sys.executable).with_name("milvus-lite"))
    command = [script, "server", "--data-dir", str(folder / "served.db"), "--host", "127.0.0.1"]
    with served(command, folder / "log") as port:
        yield f"http://127.0.0.1:{port}"
