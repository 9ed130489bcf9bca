"""`qwen3-rag evaluate`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qwen3_rag.cli.html_file import HtmlFile, check_html, facts, write_html
from qwen3_rag.cli.options import AsJson, Quiet, command
from qwen3_rag.config import MAX_TOP_K, RagConfig
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_rag.evaluation.compared import Compared
    from qwen3_rag.evaluation.labels import Labels
    from qwen3_rag.evaluation.pairs import ScoredPairs
    from qwen3_rag.evaluation.ranking import OnQuestion, Ranked
    from qwen3_rag.session import Session

DEFAULT_TOP_K = 50
CHECK_FAILED = 5
_BASE = "against"

Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="BEIR: corpus.jsonl, queries.jsonl, qrels/test.tsv.")
]
LabelsFile = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="One question<TAB>source\\[#heading] a line, on the collection."),
]


def register(app: typer.Typer) -> None:
    command(
        app,
        "evaluate",
        settings=("top_k", "mode", "hybrid", "batch_size"),
        epilog="Examples: qwen3-rag evaluate data/cranfield --embed-model tiny · qwen3-rag evaluate --labels "
        "questions.tsv --save new.run --against old.run --fail-below ndcg@10=against. A folder's corpus stays in the "
        "collection beir_NAME (or --collection); drop it with `qwen3-rag drop --collection beir_NAME --yes`.",
    )(evaluate_command)


def evaluate_command(
    config: RagConfig,
    folder: Folder = None,
    labels: LabelsFile = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="FILE", help="Keep each ranking here; a later run goes on from it.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="RUN", help="Write the last stage as a TREC run file.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="RUN", help="Compare the last stage with this TREC run file.")
    ] = None,
    sweep_dimensions: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="The same at vectors cut to these sizes.")
    ] = None,
    sweep_top_k: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="The same at these numbers of candidates.")
    ] = None,
    metric: Annotated[
        list[str],
        typer.Option(metavar="NAME@K", help="A further metric, such as recall@5 or ndcg@3. Repeatable."),
    ] = [],  # noqa: B006  Typer copies it
    fail_below: Annotated[
        list[str],
        typer.Option(
            metavar="METRIC=VALUE",
            help="Exit 5 when the last stage is below it; =against: when it is worse than --against by more than the "
            "difference's interval. Repeatable.",
        ),
    ] = [],  # noqa: B006  Typer copies it
    html: HtmlFile = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure both stages on judged questions, with intervals and paired tests. `--top-k` is 50 here."""
    from qwen3_rag.cli.console import note, print_json
    from qwen3_rag.cli.evaluation_report import print_evaluation
    from qwen3_rag.evaluation.compared import compared
    from qwen3_rag.evaluation.metrics import METRICS, check_metric
    from qwen3_rag.evaluation.pairs import ScoredPairs
    from qwen3_rag.evaluation.ranking import rank_all
    from qwen3_rag.evaluation.report import failures, report_of
    from qwen3_rag.evaluation.trec import read_run, write_run

    check_html(html)
    metrics = tuple(dict.fromkeys((*METRICS, *map(check_metric, metric))))
    bounds = _bounds(fail_below, against, metrics)
    base = read_run(against) if against else None
    sweeps = {"dimensions": _numbers(sweep_dimensions, "dimensions"), "top_k": _numbers(sweep_top_k, "top-k")}
    with judged(config, folder, labels, quiet) as (session, judgements, complete), kept(session, runs) as journal:
        with _counted(len(judgements.queries), not quiet) as on_question:
            ranked, refused = rank_all(session, judgements, journal, on_question)
        asked = judgements.only(one.id for one in ranked)
        found = compared(ranked, asked, base, metrics)
        result = report_of(found, session.config.top_k, base is not None)
        if save:
            write_run(save, found.runs[found.last])
        result |= _sweeps(session, asked, ScoredPairs(session, journal), ranked, sweeps)
        if html:
            _write_page(html, folder or labels or Path(), found, result, session.config)
            if not quiet:
                note(f"wrote {html}")
    for reason in refused:
        note(f"skipped {reason}")
    if as_json:
        print_json(result)
    else:
        print_evaluation(result)
    failed = failures(result, bounds)
    for reason in failed:
        note(f"--fail-below: {reason}")
    if failed:
        raise typer.Exit(CHECK_FAILED)
    if refused or not complete:
        raise typer.Exit(3)


def _write_page(path: Path, judged: Path, found: Compared, result: dict[str, Any], config: RagConfig) -> None:
    from qwen3_rag.evaluation.histogram import histograms
    from qwen3_rag.pages.measured import evaluation_page

    named = facts(config, **({} if config.mode == "dense" else {"mode": config.mode}))
    title = judged.absolute().stem
    write_html(path, evaluation_page(title, result, found.rows(), histograms(found), named))


@contextmanager
def judged(
    config: RagConfig, folder: Path | None, labels: Path | None, quiet: bool
) -> Iterator[tuple[Session, Labels, bool]]:
    """A session on the collection and its judged questions; False where some of either could not be used."""
    from qwen3_rag.cli.console import note, print_report, progress_bar
    from qwen3_rag.evaluation.beir import collection_name, read_beir
    from qwen3_rag.evaluation.labels import read_labels
    from qwen3_rag.evaluation.passages import header_paths
    from qwen3_rag.session import Session

    if (folder is None) == (labels is None):
        raise ConfigError("give either DIR, a BEIR folder, or --labels FILE")
    data = read_beir(folder) if folder else None
    with Session(_depths(config, None if folder is None else collection_name(folder))) as session:
        complete = True
        if data is not None:
            with progress_bar(not quiet) as on_progress:
                filled = session.ingest([data.corpus], prune=True, on_progress=on_progress)
            complete = filled.complete
            if not quiet:
                print_report(filled)
        found = data if data is not None else read_labels(Path(str(labels)), header_paths(session))
        for reason in found.unusable:
            note(f"skipped {reason}")
        yield session, found, complete and found.complete


@contextmanager
def kept(session: Session, runs: Path | None, kind: str = "evaluate") -> Iterator[Any]:
    """The journal in the file that is named; else in one that is removed when the work is done, not when it breaks."""
    from qwen3_rag.evaluation.journal import Journal
    from qwen3_rag.evaluation.ranking import settings_of
    from qwen3_rag.evaluation.unfinished import unfinished

    settings = settings_of(session)
    path = runs or unfinished(kind, settings)
    with Journal(path, settings) as journal:
        yield journal
    if path is not None and runs is None:
        path.unlink(missing_ok=True)


def _depths(config: RagConfig, collection: str | None) -> RagConfig:
    """Every candidate is reranked: recall and the tail of nDCG need them all."""
    changes: dict[str, Any] = {}
    if collection and "collection" not in config.model_fields_set:
        changes["collection"] = collection
    top_k = config.top_k if "top_k" in config.model_fields_set else DEFAULT_TOP_K
    changes |= {"top_k": top_k, "top_n": top_k, "hybrid": config.hybrid or config.mode == "hybrid"}
    return config.model_copy(update=changes)


@contextmanager
def _counted(total: int, bar: bool) -> Iterator[OnQuestion | None]:
    from qwen3_rag.cli.console import progress_bar
    from qwen3_rag.ingestion.report import Progress

    with progress_bar(bar, "questions") as on_progress:
        count = 0

        def step(ranked: Ranked) -> None:
            nonlocal count
            count += 1
            if on_progress:
                on_progress(Progress(count, total, count, f"question {ranked.id}"))

        yield step


def _sweeps(
    session: Session, labels: Labels, pairs: ScoredPairs, ranked: list[Ranked], sweeps: dict[str, list[int]]
) -> dict[str, Any]:
    from qwen3_rag.evaluation.sweep import sweep_dimensions, sweep_top_k

    found: dict[str, Any] = {}
    if sweeps["dimensions"]:
        found["sweep_dimensions"] = sweep_dimensions(session, labels, pairs, sweeps["dimensions"])
    if sweeps["top_k"]:
        seconds = sum(one.seconds.get("rerank", 0.0) for one in ranked) / sum(one.candidates for one in ranked)
        found["sweep_top_k"] = sweep_top_k(session, labels, pairs, sweeps["top_k"], seconds)
    return found


def _numbers(text: str | None, name: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")] if text else []
    except ValueError:
        found = [0]
    if any(not 1 <= one <= MAX_TOP_K for one in found):
        raise ConfigError(f"--sweep-{name} {text!r}: give whole numbers from 1 to {MAX_TOP_K} divided by commas")
    return found


def _bounds(given: list[str], against: Path | None, metrics: Sequence[str]) -> dict[str, float | None]:
    """Metric to its least value, or None for: not worse than `--against`."""
    bounds: dict[str, float | None] = {}
    for one in given:
        name, _, value = (part.strip() for part in one.partition("="))
        if name not in metrics:
            raise ConfigError(f"--fail-below {one!r}: METRIC must be one of {', '.join(metrics)}, or given by --metric")
        if value == _BASE and against is None:
            raise ConfigError(f"--fail-below {one!r} needs --against RUN")
        try:
            bounds[name] = None if value == _BASE else float(value)
        except ValueError:
            bounds[name] = math.nan
        if bounds[name] is not None and not math.isfinite(bounds[name] or 0.0):
            raise ConfigError(f"--fail-below {one!r}: VALUE must be a number or {_BASE!r}")
    return bounds
