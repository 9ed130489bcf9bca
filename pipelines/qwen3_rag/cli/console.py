"""What the terminal sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import markup
from rich.console import Console

from qwen3_rag.documents.invisible import visible
from qwen3_rag.query.phrasing import headline, move, score, whereabouts

if TYPE_CHECKING:
    from qwen3_rag.ingestion.report import IngestReport, OnProgress
    from qwen3_rag.query.rows import Passage, Row, SearchResult


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """The reader has seen enough, as `head` does: the end, and no error."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


out = _Stdout(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)
SNIPPET = 300


def escape(text: str) -> str:
    """Text as it is, none of it read as markup, without what a terminal would obey: files' names hold anything."""
    return markup.escape(visible(text))


def _nothing(record: logging.LogRecord) -> bool:
    return False


def quiet_libraries() -> None:
    """Silence what repeats an exception that we explain ourselves. Warnings of ours and of Python stay."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Milvus Lite's server, in this process, logs a traceback for a call it does not know at every connection.
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # It logs the traceback of every error that it raises. Its own configuration, when it is imported, sets all levels
    # back, and leaves filters.
    logging.getLogger("pymilvus.decorators").addFilter(_nothing)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """One object, one line, at once. Escaped where stdout is not Unicode, so that it is JSON in any encoding."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    try:
        sys.stdout.write(json.dumps(value, ensure_ascii=not is_unicode) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


def print_piece(text: str) -> None:
    """A piece of an answer that is still being written."""
    sys.stdout.write(text)
    sys.stdout.flush()


def note(message: str) -> None:
    """A line on stderr, as it is."""
    err.print(escape(message))


@contextmanager
def progress_bar(enabled: bool, unit: str = "passages") -> Iterator[OnProgress | None]:
    """A bar with rate and time left on stderr; None where it would only make noise."""
    if not (enabled and err.is_terminal):
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[items]} " + unit),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None, items=0, rate=0.0)

        def update(state: Any) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            bar.update(
                task,
                total=state.total_bytes,
                completed=state.done_bytes,
                description=escape(state.source[-40:]),
                items=state.passages,
                rate=state.passages / elapsed if elapsed else 0.0,
            )

        yield update


def print_skipped(report: IngestReport) -> None:
    """What could not be read, on stderr: one line a reason with all sources that it holds for. Then what was cut."""
    by_reason: dict[str, list[str]] = {}
    for source, reason in report.skipped:
        by_reason.setdefault(reason, []).append(source)
    for reason, sources in by_reason.items():
        note(f"skipped {', '.join(sources)}: {reason}")
    for source, reason in report.cut:
        note(f"cut {source}: {reason}")


def print_report(report: IngestReport) -> None:
    """The outcome of an ingest, on stderr: what was skipped, what was passed over, then the counts."""
    print_skipped(report)
    if report.passed_over:
        counts = (f"{count} {suffix or 'without a suffix'}" for suffix, count in report.passed_over.items())
        note(f"passed over: {', '.join(counts)}")
    if report.left_out:
        note(f"left out by --include, --exclude or .gitignore: {report.left_out} (files and folders)")
    if report.cleaned:
        note(f"invisible letters or bidirectional controls were taken out of {report.cleaned} documents")
    removed = f", {report.deleted} removed" if report.deleted else ""
    pruned = f", {report.pruned} vanished sources pruned" if report.pruned else ""
    skipped = f", {len(report.skipped)} skipped" if report.skipped else ""
    cut = f", {len(report.cut)} cut" if report.cut else ""
    note(
        f"{report.documents} documents ({report.unchanged} unchanged{skipped}{cut}{pruned}): {report.written} passages "
        f"written, {report.kept} kept{removed}, {report.seconds:.1f} s"
    )


def print_result(result: SearchResult, limit: int | None = None) -> None:
    """The best passages of one question."""
    out.print(f"[bold]{escape(result.query)}[/bold]")
    if not result.best:
        out.print("  nothing found")
    print_rows(result.best[:limit])


def print_rows(rows: Sequence[Row]) -> None:
    for row in rows:
        out.print(f"\n[bold cyan]\\[{row.rank}][/bold cyan] {score(row.score)}  [dim]{escape(row.source)}[/dim]")
        if place := whereabouts(row):
            out.print(f"[dim]{escape(place)}[/dim]")
        out.print(escape(snippet(row.text)))
    out.print()


def print_passages(passages: Sequence[Passage]) -> None:
    """Passages in full, each under the line that says where it stands."""
    for passage in passages:
        out.print(f"[dim]{escape(whereabouts(passage))}[/dim]")
        out.print(passage.text.strip(), markup=False, end="\n\n")


def print_sources(rows: Sequence[Row]) -> None:
    """The numbered sources under an answer."""
    out.print("\n[bold]Sources[/bold]")
    for row in rows:
        page = f", page {row.page}" if row.page is not None else ""
        out.print(f"[cyan]\\[{row.rank}][/cyan] {escape(row.source + page)}: {escape(headline(row.text))}")


def snippet(text: str, length: int = SNIPPET) -> str:
    """The beginning of a text, blank lines removed.

    >>> snippet("a\\n\\nb")
    'a\\nb'
    """
    lines = "\n".join(line for line in text.splitlines() if line.strip())
    return lines if len(lines) <= length else lines[:length].rsplit(" ", 1)[0] + " ..."


def print_comparison(result: SearchResult) -> None:
    """Both lists side by side, with how far reranking moved each passage."""
    from rich.table import Table

    table = Table(title=escape(result.query), title_justify="left", expand=out.is_terminal)
    table.add_column("#", justify="right")
    table.add_column(f"first stage ({result.mode})", ratio=1)
    table.add_column("score", justify="right")
    table.add_column("move", justify="center")
    table.add_column("after reranking", ratio=1)
    table.add_column("score", justify="right")
    before = {row.node_id: row.rank for row in result.dense}
    reranked = result.reranked or []
    for index in range(max(len(result.dense), len(reranked))):
        left = result.dense[index] if index < len(result.dense) else None
        right = reranked[index] if index < len(reranked) else None
        table.add_row(
            str(index + 1),
            escape(headline(left.text)) if left else "",
            score(left.score) if left else "",
            move(before.get(right.node_id), right.rank) if right else "",
            escape(headline(right.text)) if right else "",
            score(right.score) if right else "",
        )
    out.print(table)
