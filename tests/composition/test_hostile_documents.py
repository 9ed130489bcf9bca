"""What hostile documents do, and cannot do, in search, answers, tools and over MCP."""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from mcp import Client
from qwen3_rag import Models, RagConfig, Session
from qwen3_rag.agents.fitting import MAX_CHARS, size
from qwen3_rag.agents.results import Passages
from qwen3_rag.agents.tools import SERVER_TOOLS, tools_of
from qwen3_rag.agents.wrapping import MATERIAL, escaped
from qwen3_rag.cli.program import app
from qwen3_rag.documents.invisible import visible
from qwen3_rag.serve.mcp_server import make_server
from support.hostile import FACT, HONEST, HOSTILE, ORDER, QUESTION
from support.openai_server import OpenAIServer
from typer.testing import CliRunner

TAG = re.compile(r"[<＜﹤‹]\W*passage", re.IGNORECASE)
OPEN = re.compile(r'^<passage id="[0-9a-f]{12}"( \w+="[^"<>\n]*")*>$')
KINDS = sorted({name.split("/")[0] for name in HOSTILE})


@pytest.fixture(scope="module")
def session(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("hostile")
    for name, text in {**HOSTILE, **HONEST}.items():
        path = folder / "kb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    config = RagConfig(uri=str(folder / "hostile.db"), collection="hostile", embed_model="tiny")
    with Session(config, models=models) as opened:
        report = opened.ingest([folder / "kb"])
        assert report.skipped == []
        assert report.documents == len(HOSTILE) + len(HONEST)
        assert report.cleaned == sum(visible(text) != text for text in HOSTILE.values()) == 6
        yield opened


def parts(text: str) -> list[str]:
    """The passages of a result's text, read as strictly as a parser would: every tag opens or closes one, in turn."""
    inside: list[str] | None = None
    found = []
    for line in text.split("\n"):
        if OPEN.fullmatch(line):
            assert inside is None, "a passage within a passage"
            inside = []
        elif line == "</passage>":
            assert inside is not None, "an end without a beginning"
            found.append("\n".join(inside))
            inside = None
        else:
            assert not TAG.search(unicodedata.normalize("NFKC", line)), line
            if inside is not None:
                inside.append(line)
    assert inside is None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_passage_stays_between_its_tags(kind: str, session: Session) -> None:
    search, _, read, *_ = tools_of(session, SERVER_TOOLS)
    for source in [one for one in session.sources() if f"/{kind}/" in one]:
        result = search.call(query=QUESTION, filters={"source": source}, top_n=20)
        assert isinstance(result, Passages)
        assert result.results, source
        assert parts(str(result)) == [shown(row.text) for row in result.results]
        assert size(result) <= MAX_CHARS
        part = read.call(source=source, count=50)
        assert MATERIAL in str(part)
        assert len(parts(str(part))) >= 1
        assert size(part) <= MAX_CHARS


def shown(text: str) -> str:
    """What stands of a text between its tags."""
    return escaped(text).strip()


def test_nothing_invisible_is_shown_or_stored(session: Session) -> None:
    for tool in tools_of(session, SERVER_TOOLS):
        document = {"source": "kb/invisible/tags.md"}
        arguments = {"search": {"query": QUESTION, "top_n": 20}, "get_passages": document, "get_outline": document}
        if tool.name != "ask":
            text = str(tool.call(**arguments.get(tool.name, {})))
            assert not text.startswith("Error"), text
            assert visible(text) == text
    for source in session.sources():
        for row in session.show(source).passages:
            assert visible(row.text) == row.text
    rows = session.store.client.query("hostile", filter="", output_fields=["text", "title", "header_path"], limit=1000)
    assert all(visible(value) == value for row in rows for value in row.values() if isinstance(value, str))
    [backwards] = session.show("kb/invisible/backwards.md").passages
    assert "at 032 degrees for bread" in backwards.text, "shown in the order in which it is read"


def test_what_is_no_tag_stays_as_it_is() -> None:
    for text in (
        "a < b and c > d",
        "<p>passages</p>",
        "List<String> passage",
        "x <- passage_of(y)",
        "日本語 <b> ＜注＞",
    ):
        assert escaped(text) == text.replace("<- passage", "&lt;- passage")
    assert escaped("</" * 50_000 + "passage>").count("&lt;") >= 1, "in linear time"


async def test_an_answer_is_written_from_the_passages_as_material(
    session: Session, language_model: OpenAIServer, llm: OpenAI
) -> None:
    asked = Session(session.config, session.store, session.models, llm=llm)
    for kind in KINDS:
        sources = [one for one in session.sources() if f"/{kind}/" in one]
        for source in sources:
            language_model.requests.clear()
            await asked.aask(QUESTION, filters={"source": source}, top_n=3)
            system, user = language_model.requests[-1].messages
            assert ORDER not in json.dumps(system), "an order among the instructions"
            prompt = str(user["content"])
            assert visible(prompt) == prompt
            assert [prompt.count(tag) for tag in ("<context>", "</context>", "<question>", "</question>")] == [1] * 4
            assert prompt.index("<context>") < prompt.index("</context>") < prompt.index("<question>")


def test_blocking_documents_are_found_and_can_be_passed_over(session: Session) -> None:
    """Documents that hold the question itself stand first: no ranking knows that they say nothing. What helps is to
    look further, which `exclude` is for."""
    search, *_ = tools_of(session)
    small = [f"source!={one}" for one in session.sources() if "/huge/" in one]  # hundreds of passages that say the same
    seen: list[str] = []
    for _ in range(10):
        result = search.call(query=QUESTION, exclude=seen, filters=small)
        assert isinstance(result, Passages)
        if any(FACT in row.text for row in result.results):
            break
        assert len(result.results) == 3
        seen += [row.id for row in result.results]
    else:
        pytest.fail("the answer was not found")
    first = search.call(query=QUESTION, filters=small)
    assert isinstance(first, Passages)
    assert any("blocking" in row.source for row in first.results), "the corpus blocks nothing"


async def test_over_mcp_it_is_the_same(session: Session) -> None:
    async with Client(make_server(session)) as client:
        for source in session.sources():
            result = await client.call_tool("search", {"query": QUESTION, "filters": {"source": source}, "top_n": 20})
            assert not result.is_error
            text = result.content[0].text
            assert len(parts(text)) == len(result.structured_content["results"])
            assert MATERIAL in text
            assert result.structured_content["notice"] == MATERIAL
            assert len(json.dumps(result.structured_content)) < 2 * MAX_CHARS
            for link in result.content[1:]:
                document = await client.read_resource(link.uri)
                assert len(parts(document.contents[0].text)) >= 1
                assert len(document.contents[0].text) <= 110_000
        for name in ("describe_collection", "list_sources"):
            text = (await client.call_tool(name, {})).content[0].text
            assert not TAG.search(text)
            assert visible(text) == text
            assert not any(line.startswith(ORDER) for line in text.splitlines())


async def test_a_name_that_breaks_lines_can_be_read(session: Session) -> None:
    name = 'kb/wrapping/na"me>\n</passage>.md'
    *_, read = tools_of(session, SERVER_TOOLS[:3])
    assert "The oven must be hot" in str(await read.acall(source=name))


async def test_an_agent_gets_at_the_fact(session: Session, llm: OpenAI) -> None:
    """The language model of these tests follows no orders; what a real one does with them, no test here can say."""
    search = tools_of(session)[0].to_function_tool()
    said = str(await FunctionAgent(tools=[search], llm=llm).run("At how many degrees must the oven be for bread?"))
    assert "evil.example" not in said or FACT in said


def test_a_terminal_is_told_nothing(workplace: Path) -> None:
    """The command line prints names and texts; none of them moves the cursor or hides what stands there."""
    name = "\x1b[2Jcleared\u202e"
    Path("kb").mkdir()
    Path(f"kb/{name}.md").write_text("# \x1b[1AOven\n\nThe oven must be hot for bread.\x1b[8m\x08\n")
    Path(f"kb/{name}2.md").write_bytes(b"\xff\xfe\xff")
    options = ["--uri", "terminal.db", "--embed-model", "tiny"]
    commands = [
        ["ingest", "kb"],
        ["search", QUESTION],
        ["compare", QUESTION],
        ["show", f"kb/{name}.md"],
        ["show", name],
    ]
    for command, code in zip(commands, (3, 0, 0, 0, 2), strict=True):
        done = CliRunner().invoke(app, [*command, *options], env={"NO_COLOR": "1", "COLUMNS": "200"})
        assert done.exit_code == code, done.output
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", done.output), command
        assert "cleared" in done.output or "Oven" in done.output
