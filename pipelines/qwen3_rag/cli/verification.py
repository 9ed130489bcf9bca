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
    from qwen3_inference.verify import Report

    from qwen3_rag.cli.console import note, out, print_json

    _check_arguments(config, embed_weights, rerank_weights, write, against)
    vectors, scores = _expected(config, embed_weights, rerank_weights, against)
    if write is not None:
        _write(write, vectors, scores)
        note(f"written: {write}")
    if config.embed_url is None and config.rerank_url is None:
        return
    embedding = _verified_embedding(config, vectors, truncation)
    if embedding and not as_json:  # before the reranker is asked, which may not answer
        _print_checks(f"Embedding: {config.embed_url}", embedding)
    rerank = _verified_reranker(config, scores, truncation)
    if rerank and not as_json:
        _print_checks(f"Reranking: {config.rerank_url}", rerank)
    report = Report(embedding, rerank)
    if as_json:
        print_json(report.as_dict())
    else:
        out.print(_summary(report))
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


def _verified_embedding(config: RagConfig, vectors: ExpectedVectors | None, truncation: bool) -> tuple[Check, ...]:
    from qwen3_inference.verify import verify_embedding

    from qwen3_rag.model_servers import served_embedding, speaking_of

    if config.embed_url is None:
        return ()
    engine = served_embedding(config).engine
    _announce(engine.model_name, config.embed_url, truncation)
    with speaking_of("embed"):
        return verify_embedding(engine, expected=vectors, published=_is_named(config, "embed"), truncation=truncation)


def _verified_reranker(config: RagConfig, scores: ExpectedScores | None, truncation: bool) -> tuple[Check, ...]:
    from qwen3_inference.verify import verify_rerank

    from qwen3_rag.model_servers import served_reranker, speaking_of

    if config.rerank_url is None:
        return ()
    name = config.reranker_name
    if name is None:
        raise ConfigError("--rerank-model none has nothing to verify; leave it or --rerank-url out")
    engine = served_reranker(config, name).engine
    _announce(engine.model_name, config.rerank_url, truncation)
    with speaking_of("rerank"):
        return verify_rerank(engine, expected=scores, published=_is_named(config, "rerank"), truncation=truncation)


def _is_named(config: RagConfig, stage: str) -> bool:
    """The default name is no promise of the server's. The reranker's is that of the embedder where it has none."""
    named = config.model_fields_set
    return "embed_model" in named or (stage == "rerank" and "rerank_model" in named)


def _announce(name: str, url: str, truncation: bool) -> None:
    from qwen3_rag.cli.console import note

    long_ones = "; then two long ones, which take longest (--no-truncation leaves them out)" if truncation else ""
    note(f"asking {url} ({name}) about fifteen short questions{long_ones}")


def _print_checks(title: str, checks: tuple[Check, ...]) -> None:
    from rich.table import Table

    from qwen3_rag.cli.console import escape, out

    table = Table(title=escape(title), title_justify="left", expand=out.is_terminal)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("found, and what to do", ratio=1, overflow="fold")
    for one in checks:
        colour = _COLOURS[one.verdict]
        action = {"wrong": "do: ", "unknown": "decides: "}.get(one.verdict, "")
        remedy = f"\n[dim]{action}{escape(one.remedy)}[/dim]" if one.remedy else ""
        table.add_row(one.check, f"[{colour}]{one.verdict}[/{colour}]", escape(one.found) + remedy)
    out.print(table)


def _summary(report: Report) -> str:
    """The verdict, and the checks that make it."""
    if report.verdict == "right":
        return f"[{_COLOURS['ok']}]right[/]"
    kinds = (("embedding", report.embedding), ("reranking", report.rerank))
    names = [f"{one.check} ({kind})" for kind, checks in kinds for one in checks if one.verdict == report.verdict]
    said = "nothing wrong was seen; undecided: " if report.verdict == "unknown" else ""
    return f"[{_COLOURS[report.verdict]}]{report.verdict}[/]: {said}{', '.join(names)}"
