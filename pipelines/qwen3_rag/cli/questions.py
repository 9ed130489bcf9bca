"""`qwen3-rag search`, `compare`, `ask`: the three ways to put a question."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from qwen3_rag.cli.html_file import HtmlFile
from qwen3_rag.cli.options import AsJson, Filter, NoRerank, Threshold, command
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError

Question = Annotated[str, typer.Argument(help="The question, in any language.", show_default=False)]


def register(app: typer.Typer) -> None:
    command(
        app,
        "search",
        settings=("stages", "service"),
        epilog='Examples: qwen3-rag search "How is data stored?" · qwen3-rag search --queries questions.txt --json · '
        'qwen3-rag search "flush" --mode hybrid --filter source=docs/faq.md',
    )(search_command)
    command(
        app,
        "compare",
        settings=("stages", "service"),
        epilog='Examples: qwen3-rag compare "How is data stored?" · '
        'qwen3-rag compare "How is data stored?" --html page.html',
    )(compare_command)
    command(
        app,
        "ask",
        settings=("stages", "llm", "service"),
        epilog='Examples: qwen3-rag ask "How is data stored?" --stream · '
        'qwen3-rag ask "..." --llm qwen3:4b --llm-base-url http://localhost:11434/v1',
    )(ask_command)


def search_command(
    config: RagConfig,
    question: Annotated[str | None, typer.Argument(help="The question, in any language.", show_default=False)] = None,
    queries: Annotated[
        str | None, typer.Option("--queries", metavar="FILE", help="One question a line; - is stdin.")
    ] = None,
    filters: Filter = [],  # noqa: B006  Typer copies it
    no_rerank: NoRerank = False,
    score_threshold: Threshold = None,
    as_json: AsJson = False,
) -> None:
    """Find the passages that answer a question, or each question of a file."""
    from qwen3_rag.cli.console import note, print_json, print_result
    from qwen3_rag.cli.sessions import session_for
    from qwen3_rag.query.conditions import check_conditions

    if (question is None) == (queries is None):
        raise ConfigError("give either a QUESTION or --queries FILE")
    wanted = check_conditions(filters)
    failed = False
    with session_for(_stages(config, no_rerank)) as session:
        session.open()
        for one in [question] if question is not None else read_questions(str(queries)):
            try:
                result = session.search(one or "", filters=wanted, score_threshold=score_threshold)
            except ConfigError as error:
                if question is not None:
                    raise
                note(f"skipped {one!r}: {error}")
                failed = True
                continue
            if as_json:
                print_json(result.to_json())
            else:
                print_result(result)
    if failed:
        raise typer.Exit(3)


def compare_command(
    config: RagConfig,
    question: Question,
    filters: Filter = [],  # noqa: B006
    no_rerank: NoRerank = False,
    score_threshold: Threshold = None,
    html: HtmlFile = None,
    as_json: AsJson = False,
) -> None:
    """Show both stages side by side: what reranking moved, and where to."""
    from qwen3_rag.cli.console import note, print_comparison, print_json
    from qwen3_rag.cli.html_file import check_html, facts, write_html
    from qwen3_rag.cli.sessions import session_for

    check_html(html)
    every_move = not as_json and "top_n" not in config.model_fields_set
    top_k = config.top_k if every_move else None
    with session_for(_stages(config, no_rerank)) as session:
        result = session.search(question, filters=filters, top_k=top_k, top_n=top_k, score_threshold=score_threshold)
    if html:
        from qwen3_rag.pages.comparison import comparison_page

        more = {"filters": ", ".join(filters) or None, "score_threshold": score_threshold}
        more |= {"reranker": "none"} if result.reranked is None else {}
        write_html(html, comparison_page(result, facts(session.config, **more)))
        note(f"wrote {html}")
    if as_json:
        print_json(result.to_json())
        return
    print_comparison(result)
    if result.reranked is None:
        note("no second stage: --no-rerank, or --rerank-model is none")


def ask_command(
    config: RagConfig,
    question: Question,
    filters: Filter = [],  # noqa: B006
    no_rerank: NoRerank = False,
    score_threshold: Threshold = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question from the passages, with numbered sources.

    The key is taken from OPENAI_API_KEY. Without a language model the passages are shown (exit code 4).
    """
    from qwen3_rag.cli.console import out, print_json, print_piece, print_rows, print_sources
    from qwen3_rag.cli.sessions import session_for
    from qwen3_rag.query.rows import NoAnswerError

    stream = stream and not as_json
    on_token = print_piece if stream else None
    with session_for(_stages(config, no_rerank)) as session:
        try:
            result = session.ask(question, filters=filters, score_threshold=score_threshold, on_token=on_token)
        except NoAnswerError as error:
            if as_json:
                print_json(error.result.to_json())
            else:
                print_rows(error.result.cited)
            raise
    if as_json:
        print_json(result.to_json())
        return
    out.print("" if stream else result.answer, markup=False)
    print_sources(result.cited)


def _stages(config: RagConfig, no_rerank: bool) -> RagConfig:
    return config.model_copy(update={"rerank_model": "none"}) if no_rerank else config


def read_questions(name: str) -> Iterator[str]:
    """The lines of a file or of stdin, blank ones left out, as they come."""
    lines: Any
    try:
        lines = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise ConfigError(f"--queries {name!r}: {error.strerror or error}") from None
    with lines:
        for number, raw in enumerate(lines, 1):
            try:
                question = raw.decode("utf-8-sig").strip()
            except UnicodeDecodeError:
                raise ConfigError(f"--queries {name!r}: line {number} is not UTF-8") from None
            if question:
                yield question
