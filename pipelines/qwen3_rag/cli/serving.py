"""`qwen3-rag serve` and `qwen3-rag mcp`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from qwen3_rag.cli.options import command
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError

PORT = 8765
SERVE_EPILOG = (
    "Examples: qwen3-rag serve · qwen3-rag serve --watch docs/ · QWEN3_RAG_API_TOKEN=... qwen3-rag serve --host "
    "0.0.0.0 --scope team=red · while it runs, `qwen3-rag search` and the like ask it, and need no loading"
)
MCP_EPILOG = (
    'In a client\'s configuration: {"command": "qwen3-rag", "args": ["mcp", "--uri", "/path/to/qwen3_rag.db"]}. '
    "For several clients at once: qwen3-rag serve, then http://127.0.0.1:8765/mcp"
)
Port = typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes a free one.")


def register(app: typer.Typer) -> None:
    command(app, "serve", settings=("stages", "llm", "ingest"), epilog=SERVE_EPILOG)(serve_command)
    command(app, "mcp", settings=("stages", "llm"), epilog=MCP_EPILOG)(mcp_command)


def serve_command(
    config: RagConfig,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Any but 127.0.0.1 needs QWEN3_RAG_API_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, Port] = PORT,
    allow_host: Annotated[
        list[str],
        typer.Option("--allow-host", metavar="NAME", help="A name by which clients call this machine; repeatable."),
    ] = [],  # noqa: B006  Typer copies it
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            metavar="KEY=VALUE",
            help="Only passages with this metadata, whatever callers ask for; as --filter, repeatable.",
        ),
    ] = [],  # noqa: B006
    also: Annotated[
        list[str],
        typer.Option("--also", metavar="COLLECTION", help="Answer for this collection, too; repeatable."),
    ] = [],  # noqa: B006
    watch: Annotated[
        list[Path],
        typer.Option("--watch", metavar="PATH", help="Keep the collection in line with a folder or file; repeatable."),
    ] = [],  # noqa: B006
    allow_write: Annotated[bool, typer.Option("--allow-write", help="Let callers ingest.")] = False,
    write_root: Annotated[
        list[Path],
        typer.Option("--write-root", metavar="FOLDER", help="Where callers may ingest from; repeatable. \\[.]"),
    ] = [],  # noqa: B006
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=3600, help="Longest time for a question.")
    ] = 60.0,
    queue: Annotated[
        int, typer.Option("--queue", metavar="N", min=0, help="Requests that may wait; for one more: 503.")
    ] = 256,
) -> None:
    """Hold database and models open, and answer over HTTP: people in a browser, programs, agents.

    Only this machine can ask, unless --host says otherwise.
    """
    _serve(
        config,
        scope,
        also,
        host=host,
        port=port,
        allowed_hosts=allow_host,
        watch=watch,
        allow_write=allow_write,
        write_roots=[one.resolve() for one in write_root] or [Path.cwd()],
        timeout=timeout,
        waiting=queue,
    )


def mcp_command(
    config: RagConfig,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="The same as `serve --port PORT`."),
    ] = None,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Let agents have changed files read again (the tool sync).")
    ] = False,
) -> None:
    """Serve search, ask, reading on and descriptions to agents, by the Model Context Protocol.

    Collections that the configuration describes (the table `collections`) are served together. It speaks on stdin and
    stdout: meant to be started by an MCP client. It holds the database open while it runs.
    """
    if port is not None:
        _serve(config, port=port, allow_write=allow_write)
        return
    from qwen3_rag.serve.mcp_server import run_server
    from qwen3_rag.session import Session

    with Session(config) as session:
        run_server(session, allow_write=allow_write)


def _serve(config: RagConfig, scope: Sequence[str] = (), also: Sequence[str] = (), **settings: Any) -> None:
    from qwen3_rag.extras import require

    require("serve")
    from qwen3_rag.cli.console import note
    from qwen3_rag.serve.running import run_service
    from qwen3_rag.serve.service import Service
    from qwen3_rag.serve.settings import ServeSettings
    from qwen3_rag.session import Session

    found = ServeSettings(token=config.api_token, **settings)
    if scope and found.allow_write:
        raise ConfigError(
            "--scope says what callers may read, and --allow-write lets them write outside of it; give one of them"
        )
    run_service(Service(Session(config, scope=scope), found, also), note)
