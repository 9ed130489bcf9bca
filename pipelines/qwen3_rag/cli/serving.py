"""`qwen3-rag mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from qwen3_rag.cli.options import command
from qwen3_rag.config import RagConfig

EPILOG = (
    'In a client\'s configuration: {"command": "qwen3-rag", "args": ["mcp", "--uri", "/path/to/qwen3_rag.db"]}. '
    "For several clients at once: qwen3-rag mcp --port 8765, then http://127.0.0.1:8765/mcp"
)


def register(app: typer.Typer) -> None:
    command(app, "mcp", settings=("stages", "llm"), epilog=EPILOG)(mcp_command)


def mcp_command(
    config: RagConfig,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="Serve HTTP on 127.0.0.1 instead of stdin and stdout."),
    ] = None,
) -> None:
    """Serve search, ask and list_sources to agents, by the Model Context Protocol.

    Speaks on stdin and stdout: meant to be started by an MCP client. It holds the database open while it runs.
    """
    from qwen3_rag.serve.mcp_server import run_server
    from qwen3_rag.session import Session

    with Session(config) as session:
        run_server(session, port)
