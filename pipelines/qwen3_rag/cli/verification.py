"""`qwen3-rag verify`: whether model servers compute what the models compute, and in words what is wrong where not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qwen3_rag.cli.options import AsJson, command
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_inference.verify import Check, ExpectedScores, ExpectedVectors, Report

WRONG = 5
_COLOURS = {"ok": "green", "wrong": "bold red", "unknown": "yellow", "not applicable": "dim"}


def register(app: typer.Typer) -> None:
    command(
        app,
        "verify",
        epilog="Examples: qwen3-rag verify --embed-url http://localhost:8000/v1 --embed-model 0.6B · the same with "
        "--embed-weights 0.6B · qwen3-rag verify --embed-weights 0.6B --rerank-weights 0.6B --write expected.json, "
        "then elsewhere --against expected.json. Exit code 5: something is wrong; 0: nothing is, or it cannot be told.",
    )(verify_command)


def verify_command(
    config: RagConfig,
    embed_weights: Annotated[
        str | None, typer.Option("--embed-weights", metavar="MODEL", help="The same model here, to compare with.")
    ] = None,
    rerank_weights: Annotated[
        str | None, typer.Option("--rerank-weights", metavar="MODEL", help="The same for the reranker.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Keep what the weights give, for --against.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="Compare with such a file instead of weights.")
    ] = None,
    truncation: Annotated[
        bool, typer.Option("--truncation/--no-truncation", help="Send long texts too, which take longest.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check the servers of --embed-url and --rerank-url with about 25 short requests, and name what is wrong.

    Three levels, each telling more: the server alone; with the model's tokenizer (--embed-tokenizer); with the weights
    of the same model here (--embed-weights, or --against a file that --write made where they are).
    """
    from qwen3_rag.cli.console import note, print_json

    _check_arguments(config, embed_weights, rerank_weights, write, against)
    vectors, scores = _expected(config, embed_weights, rerank_weights, against)
    if write is not None:
        _write(write, vectors, scores)
        note(f"written: {write}")
    if config.embed_url is None and config.rerank_url is None:
        return
    report = _report(config, vectors, scores, truncation)
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report)
    if report.verdict == "wrong":
        raise typer.Exit(WRONG)


def _check_arguments(
    config: RagConfig, embed_weights: str | None, rerank_weights: str | None, write: Path | None, against: Path | None
) -> None:
    weights = embed_weights or rerank_weights
    if config.embed_url is None and config.rerank_url is None and write is None:
        raise ConfigError("no server to verify: give --embed-url, --rerank-url or both")
    if against is not None and weights:
        raise ConfigError(
            "--against stands for weights that are elsewhere: give it, or --embed-weights and --rerank-weights"
        )
    if write is not None and not weights:
        raise ConfigError("--write keeps what weights give: name them with --embed-weights, --rerank-weights or both")


def _expected(
    config: RagConfig, embed_weights: str | None, rerank_weights: str | None, against: Path | None
) -> tuple[ExpectedVectors | None, ExpectedScores | None]:
    from qwen3_inference.verify import read_expected, scores_of, vectors_of

    from qwen3_rag.config_models import model_name

    if against is not None:
        try:
            return read_expected(against)
        except (OSError, ValueError) as error:
            raise ConfigError(f"--against: {error}") from error
    try:
        vectors, scores = None, None
        if embed_weights:
            vectors = vectors_of(model_name(embed_weights, "Embedding"), device=config.device, dtype=config.dtype)
        if rerank_weights:
            scores = scores_of(model_name(rerank_weights, "Reranker"), device=config.device, dtype=config.dtype)
        return vectors, scores
    except ValueError as error:
        raise ConfigError(f"--embed-weights or --rerank-weights: {error}") from error


def _write(path: Path, vectors: ExpectedVectors | None, scores: ExpectedScores | None) -> None:
    from qwen3_inference.verify import write_expected

    try:
        write_expected(path, vectors, scores)
    except OSError as error:
        raise ConfigError(f"--write {path}: {error.strerror or error}") from error


def _report(
    config: RagConfig, vectors: ExpectedVectors | None, scores: ExpectedScores | None, truncation: bool
) -> Report:
    from qwen3_inference.verify import Report, verify_embedding, verify_rerank

    from qwen3_rag.model_servers import served_embedding, served_reranker, speaking_of

    embedding: tuple[Check, ...] = ()
    rerank: tuple[Check, ...] = ()
    is_named = "embed_model" in config.model_fields_set  # the default is no promise of the server's
    if config.embed_url is not None:
        engine = served_embedding(config).engine
        with speaking_of("embed"):
            embedding = verify_embedding(engine, expected=vectors, published=is_named, truncation=truncation)
    if config.rerank_url is not None:
        name = config.reranker_name
        if name is None:
            raise ConfigError("--rerank-model none has nothing to verify; leave it or --rerank-url out")
        judge = served_reranker(config, name).engine
        is_named = is_named or "rerank_model" in config.model_fields_set
        with speaking_of("rerank"):
            rerank = verify_rerank(judge, expected=scores, published=is_named, truncation=truncation)
    return Report(embedding, rerank)


def _print_report(report: Report) -> None:
    from rich.markup import escape
    from rich.table import Table

    from qwen3_rag.cli.console import out

    for title, checks in (("Embedding", report.embedding), ("Reranking", report.rerank)):
        if not checks:
            continue
        table = Table(title=title, title_justify="left", expand=out.is_terminal)
        table.add_column("check", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        table.add_column("found, and what to do", ratio=1, overflow="fold")
        for one in checks:
            colour = _COLOURS[one.verdict]
            action = {"wrong": "do: ", "unknown": "decides: "}.get(one.verdict, "")
            remedy = f"\n[dim]{action}{escape(one.remedy)}[/dim]" if one.remedy else ""
            table.add_row(one.check, f"[{colour}]{one.verdict}[/{colour}]", escape(one.found) + remedy)
        out.print(table)
    verdict = {"right": "ok", "wrong": "wrong"}.get(report.verdict, "unknown")
    out.print(f"[{_COLOURS[verdict]}]{report.verdict}[/{_COLOURS[verdict]}]")
