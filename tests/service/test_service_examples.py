"""`examples/service.md`: its blocks run as they stand, one after another, against the service that the page starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from qwen3_rag.serve.app import GET, POST
from support.servers import reserved_port
from support.service import wait_until

PAGE = Path(__file__).parents[2] / "examples" / "service.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = {
    "sources": "docs/bread.md",
    "curl": '"reranked":[{"rank":1',
    "sum(": "0.",
    "cohere": "1",
    "RemoteEmbeddingEngine": "256",
}
"""A part of a block, and what it prints."""


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


@pytest.mark.timeout(600)
def test_every_block_runs(port: int, tmp_path: Path) -> None:
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
    blocks = [(kind, text.replace("8765", str(port))) for kind, text in BLOCK.findall(PAGE.read_text())]
    assert len(blocks) == 7
    met = set()
    with ExitStack() as running:
        for kind, text in blocks:
            command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-ec", text]
            if "qwen3-rag serve" in text:
                command = ["bash", "-ec", f"exec {text}"]
                server = subprocess.Popen(command, cwd=tmp_path, env=environment)
                running.callback(server.wait, 60)
                running.callback(server.terminate)
                wait_until(lambda: is_up(f"http://127.0.0.1:{port}"), 120)
                continue
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            for part, printed in EXPECTED.items():
                if part in text:
                    assert printed in done.stdout, f"{text}\n{done.stdout}"
                    met.add(part)
    assert met == set(EXPECTED)


def test_every_route_is_on_the_page() -> None:
    text = PAGE.read_text()
    for path in {*GET, *POST} - {"/v2/rerank"}:
        assert path in text
