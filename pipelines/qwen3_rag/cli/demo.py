"""`qwen3-rag demo`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qwen3_rag.cli.options import command
from qwen3_rag.config import RagConfig

if TYPE_CHECKING:
    from qwen3_rag.session import Session

KNOWLEDGE = Path(__file__).parent.parent / "knowledge"
DEMO_QUESTIONS = (
    "Why does a reranker read the question and the passage together?",
    "Wie lange soll grüner Tee ziehen?",
    "検索の前に文書を分割するのはなぜですか",
)


def register(app: typer.Typer) -> None:
    epilog = "Nothing is downloaded. The database is temporary, unless --uri is given."
    command(app, "demo", settings=("llm",), epilog=epilog)(demo_command)


def demo_command(config: RagConfig) -> None:
    """See everything work, offline: ingest the bundled knowledge base, compare, search, answer.

    Runs on the small bundled models. The answer is written by the configured language model, or else quotes the best
    passages.
    """
    from qwen3_rag.cli.console import note
    from qwen3_rag.session import Session

    given = config.model_fields_set
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qwen3-rag-") as folder:
        # Set in the environment or not, the demo takes the bundled pair: it must need nothing else.
        changes: dict[str, Any] = {"embed_model": "tiny", "rerank_model": "same", "dimensions": None, "mode": "dense"}
        changes |= {"top_k": 10, "top_n": 3, "embed_url": None, "rerank_url": None}
        if config.embed_url or config.rerank_url or ("embed_model" in given and config.embed_model != "tiny"):
            note(f"the demo runs on the bundled pair tiny, not on {config.embed_url or config.embed_model}")
        if "uri" not in given:
            changes |= {"uri": f"{folder}/demo.db"}
        if "collection" not in given:
            changes |= {"collection": "demo"}
        with Session(config.model_copy(update=changes)) as session:
            _show(session)
    note(f"\nDone in {time.monotonic() - started:.0f} s. Now your own: qwen3-rag ingest FOLDER --embed-model tiny")


def _show(session: Session) -> None:
    from qwen3_rag.cli import console
    from qwen3_rag.query.rows import NoAnswerError

    console.note("1. Ingest: split at headings, embed, store in Milvus Lite")
    with console.progress_bar(True) as on_progress:
        report = session.ingest([KNOWLEDGE], on_progress=on_progress)
    console.print_report(report)
    console.note("\n2. Compare: what the second stage makes of the first stage's ten candidates")
    console.print_comparison(session.search(DEMO_QUESTIONS[0], top_n=10))
    console.note("\n3. Search, in other languages")
    for question in DEMO_QUESTIONS[1:]:
        console.print_result(session.search(question), limit=2)
    console.note(f"4. Answer: {DEMO_QUESTIONS[0]}")
    try:
        answered = session.ask(DEMO_QUESTIONS[0])
    except NoAnswerError as error:
        console.note(f"(no language model: {error.reason}. These are the best passages, quoted.)")
        console.print_rows(error.result.cited)
    else:
        console.out.print(answered.answer, markup=False)
        console.print_sources(answered.cited)
