"""`qwen3-rag search`, `compare`, `ask`: the three ways to put a question."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qwen3_rag.cli.options import AsJson, Filter, command
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_index.core.schema import NodeWithScore

    from qwen3_rag.config import RagConfig
    from qwen3_rag.query.stages import SearchResult

Question = Annotated[str, typer.Argument(help="The question, in any language.", show_default=False)]
STAGES = ("top_k", "top_n", "mode")


def register(app: typer.Typer) -> None:
    command(
        app,
        "search",
        settings=STAGES,
        epilog='Examples: qwen3-rag search "How is data stored?" · qwen3-rag search --queries questions.txt --json · '
        'qwen3-rag search "flush" --mode hybrid --filter source=docs/faq.md',
    )(search_command)
    command(app, "compare", settings=STAGES, epilog='Example: qwen3-rag compare "How is data stored?" --top-n 10')(
        compare_command
    )
    command(
        app,
        "ask",
        settings=(*STAGES, "llm", "llm_base_url", "llm_timeout"),
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
    as_json: AsJson = False,
) -> None:
    """Find the passages that answer a question, or each question of a file."""
    from qwen3_rag.cli.console import note, print_json, print_result

    if (question is None) == (queries is None):
        raise ConfigError("give either a QUESTION or --queries FILE")
    failed = False
    with searcher(config, filters) as run:
        for one in [question] if question is not None else read_questions(str(queries)):
            try:
                result = run(one or "")[0]
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


def compare_command(config: RagConfig, question: Question, filters: Filter = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Show both stages side by side: what reranking moved, and where to."""
    from qwen3_rag.cli.console import note, print_comparison, print_json

    if not as_json and "top_n" not in config.model_fields_set:
        config = config.model_copy(update={"top_n": config.top_k})  # every candidate's move
    with searcher(config, filters) as run:
        result, _ = run(question)
    if as_json:
        print_json(result.to_json())
        return
    print_comparison(result)
    if result.reranked is None:
        note("no second stage: --rerank-model is none")


def ask_command(
    config: RagConfig,
    question: Question,
    filters: Filter = [],  # noqa: B006
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question from the passages, with numbered sources.

    The key is taken from OPENAI_API_KEY. Without a language model the passages are shown (exit code 4).
    """
    from qwen3_rag.cli.console import note, out, print_json, print_rows, print_sources

    with searcher(config, filters) as run:
        result, nodes = run(question)
    sources = list(result.best)[: len(nodes)]
    answer, problem = write_answer(config, question, nodes, stream=stream and not as_json)
    if as_json:
        listed = [{"number": row.rank, "source": row.source, "node_id": row.node_id} for row in sources]
        print_json({**result.to_json(), "answer": answer, "sources": listed})
    elif answer is not None:
        if not stream:
            out.print(answer, markup=False)
        print_sources(sources)
    else:
        print_rows(sources)
    if problem:
        note(f"error: no answer: {problem}" + ("" if as_json else "; the passages are above"))
        raise typer.Exit(4)


def write_answer(
    config: RagConfig, question: str, nodes: Sequence[NodeWithScore], *, stream: bool
) -> tuple[str | None, str | None]:
    """(answer, None), or (None, why not) when there is no language model to be had."""
    from qwen3_rag.query.answer import CitedSynthesizer, make_llm, make_prompt, why_no_answer

    if not nodes:
        return None, "no passage was found"
    try:
        synthesizer = CitedSynthesizer(make_llm(config), make_prompt(config.system_prompt), streaming=stream)
        response = synthesizer.synthesize(question, nodes=list(nodes))
        if not stream:
            return str(response), None
        pieces: list[str] = []
        for piece in getattr(response, "response_gen", ()):
            sys.stdout.write(piece)
            sys.stdout.flush()
            pieces.append(piece)
        sys.stdout.write("\n")
        return "".join(pieces), None
    except Exception as error:
        problem = why_no_answer(error, config)
        if problem is None:
            raise
        return None, problem


@contextmanager
def searcher(
    config: RagConfig, filters: Sequence[str] = ()
) -> Iterator[Callable[[str], tuple[SearchResult, list[NodeWithScore]]]]:
    """A function from question to (result, nodes of the last stage), with the store open around it."""
    from qwen3_rag.models import load_models
    from qwen3_rag.query.stages import as_result, make_retriever, parse_filters, two_stages
    from qwen3_rag.store.connect import require_database
    from qwen3_rag.store.vector_store import open_store

    parsed = parse_filters(filters)
    require_database(config)
    models = load_models(config)
    store = open_store(config, models.identity)
    try:
        retriever = make_retriever(config, store, models.embed, parsed)

        def run(question: str) -> tuple[SearchResult, list[NodeWithScore]]:
            candidates, kept = two_stages(question, retriever, models.rerank)
            result = as_result(question, candidates, kept, config.mode)
            return result, candidates[: config.top_n] if kept is None else kept

        yield run
    finally:
        store.close()


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
