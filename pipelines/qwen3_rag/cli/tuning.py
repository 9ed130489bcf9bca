"""`qwen3-rag tune` and `qwen3-rag questions`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qwen3_rag.cli.evaluation import Folder, LabelsFile, judged, kept
from qwen3_rag.cli.options import AsJson, Quiet, command
from qwen3_rag.config import ENV_PREFIX, RagConfig
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_rag.evaluation.labels import Labels
    from qwen3_rag.evaluation.tuning import Stage, Tuned
    from qwen3_rag.session import Session


class Stages(StrEnum):
    query = "query"
    rerank = "rerank"
    both = "both"


def register(app: typer.Typer) -> None:
    command(
        app,
        "tune",
        settings=("top_k", "mode", "hybrid", "batch_size", "llm"),
        epilog="Examples: qwen3-rag tune --labels questions.tsv --candidates instructions.txt · qwen3-rag tune "
        "data/cranfield --propose --stage rerank --write",
    )(tune_command)
    command(
        app,
        "questions",
        settings=("llm",),
        epilog="Example: qwen3-rag questions --propose 50 --labels questions.tsv; edit the file, then: "
        "qwen3-rag evaluate --labels questions.tsv",
    )(questions_command)


def tune_command(
    config: RagConfig,
    folder: Folder = None,
    labels: LabelsFile = None,
    candidates: Annotated[
        Path | None, typer.Option("--candidates", metavar="FILE", help="Instructions to try, one a line.")
    ] = None,
    propose: Annotated[bool, typer.Option("--propose", help="Let the language model propose instructions.")] = False,
    stage: Annotated[Stages, typer.Option("--stage", help="Which instruction: each is tuned by itself.")] = Stages.both,
    write: Annotated[bool, typer.Option("--write", help="Put a better one into the TOML file.")] = False,
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="FILE", help="Keep all results here; a later run goes on from it.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the instruction that works best on judged questions: chosen on one half, confirmed once on the other.

    "No difference shown" is a result, too: then the configured one stays.
    """
    from qwen3_rag.cli.console import note
    from qwen3_rag.evaluation.tuning import QueryStage, RerankStage, divide, tune

    if (candidates is None) != propose:
        raise ConfigError("give either --candidates FILE or --propose")
    with (
        judged(config, folder, labels, quiet) as (session, judgements, complete),
        kept(session, runs, "tune") as journal,
    ):
        divide(judgements)  # too few are said before anything is computed
        wanted: list[Stage] = [one for one in ("query", "rerank") if stage in (one, Stages.both)]
        if stage is Stages.both and session.stages.reranker is None:
            wanted = ["query"]
            note("no second stage to tune: --rerank-model is none")
        found = []
        for one in wanted:
            value = (QueryStage if one == "query" else RerankStage)(session, judgements, journal)
            default = _configured(session.config, one)
            tried = _candidates(session, judgements, journal, one, candidates, default)
            found.append(tune(one, value, tried, judgements, default, None if quiet else note))
    for tuned in found:
        _say(tuned, as_json)
        if write:
            _write(tuned)
    if not complete:
        raise typer.Exit(3)


def questions_command(
    config: RagConfig,
    propose: Annotated[int, typer.Option("--propose", metavar="N", min=1, help="So many questions in the file.")],
    labels: Annotated[
        Path, typer.Option("--labels", metavar="FILE", help="The file; what is in it already stays.")
    ] = Path("questions.tsv"),
    quiet: Quiet = False,
) -> None:
    """Propose questions from sampled passages, with the language model, into a labels file to be edited."""
    from qwen3_rag.cli.console import note
    from qwen3_rag.evaluation.asking import asking
    from qwen3_rag.evaluation.questions import count_questions, propose_questions
    from qwen3_rag.session import Session

    with Session(config) as session:
        for proposal in propose_questions(session, asking(config), labels, propose):
            if not quiet:
                note(proposal.question or f"left out: {proposal.reason}")
    found = count_questions(labels)
    note(f"{found} questions in {labels}; edit it, then: qwen3-rag evaluate --labels {labels}")
    if found < propose:
        note(f"no further passage gave one: {propose - found} are missing")
        raise typer.Exit(3)


def _candidates(
    session: Session, labels: Labels, journal: Any, stage: Stage, file: Path | None, default: str | None
) -> list[str]:
    from qwen3_rag.evaluation.asking import asking
    from qwen3_rag.evaluation.candidates import propose, read_candidates
    from qwen3_rag.evaluation.ranking import rank_all
    from qwen3_rag.evaluation.tuning import divide

    if file is not None:
        return read_candidates(file, default)
    if row := journal.get(stage, "proposed"):
        return list(row["instructions"])
    training, _ = divide(labels)  # what the model sees is not what confirms
    ranked, _ = rank_all(session, labels.only(training), journal)
    found = propose(asking(session.config), stage, ranked, labels, default)
    journal.add({"id": stage, "kind": "proposed", "instructions": found})
    return found


def _configured(config: RagConfig, stage: Stage) -> str | None:
    own = config.query_instruction if stage == "query" else config.rerank_instruction
    return config.instruction if own is None else own


def _say(tuned: Tuned, as_json: bool) -> None:
    from qwen3_rag.cli.console import out, print_json

    if as_json:
        print_json(tuned.to_json())
        return
    verdict = "better" if tuned.is_better else "no difference shown; the configured one stays"
    shown = tuned.default if tuned.default is not None else "(the model's own)"
    for line in (
        f"{tuned.stage}: {verdict}",
        f"  tried    {tuned.instruction}",
        f"  default  {shown}",
        f"  {tuned.evidence}",
    ):
        out.print(line, markup=False)


def _write(tuned: Tuned) -> None:
    from qwen3_rag.cli.console import note
    from qwen3_rag.evaluation.settings_file import write_setting

    name = f"{tuned.stage}_instruction"
    if not tuned.is_better:
        note(f"{name} is not written: no difference shown")
        return
    path = write_setting(name, tuned.instruction, tuned.evidence)
    note(f"{name} written into {path}")
    if (variable := f"{ENV_PREFIX}{name.upper()}") in os.environ:
        note(f"{variable} is set and still wins over it")
