"""What an addition takes: a document format, an agent tool and a setting are each one place."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document
from pydantic import BaseModel
from qwen3_rag import Models, RagConfig, Session, make_document
from qwen3_rag.agents.tool import AgentTool
from qwen3_rag.agents.tools import AGENT_TOOLS, SERVER_TOOLS, tools_of
from qwen3_rag.cli.options import fields_of
from qwen3_rag.cli.program import app
from qwen3_rag.config_file import option_of
from qwen3_rag.documents.formats import FORMATS, Format
from qwen3_rag.serve import mcp_server
from support.hashing import IDENTITY, HashingEmbedding
from typer.testing import CliRunner

from .conftest import write


class CsvReader(BaseReader):
    """A document a row."""

    def lazy_load_data(self, file: Path, source: str, **_: Any) -> Iterator[Document]:
        with file.open(newline="") as rows:
            for name, text in csv.reader(rows):
                yield make_document(text, f"{source}#{name}", "csv")


@pytest.fixture
def session(lite: str) -> Iterator[Session]:
    config = RagConfig(uri=lite, embed_model="tiny", top_n=1)
    with Session(config, models=Models(HashingEmbedding(), IDENTITY, None)) as session:
        yield session


def test_a_format_is_a_reader_and_a_line(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "csv", Format((".csv",), CsvReader(), cut="whole"))  # type: ignore[arg-type]
    write(Path("docs"), {"a.csv": "one,Cats sleep.\ntwo,Dogs bark.\none,Cats again.\n", "b.txt": "text"})
    report = session.ingest(["docs"])
    assert (report.documents, report.written) == (3, 3)
    assert [name for name, _ in report.skipped] == ["docs/a.csv#one"], "two parts of a file may not share an id"
    assert session.search("dogs bark").best[0].source == "docs/a.csv#two"
    write(Path("docs"), {"a.csv": "two,Dogs bark.\n"})
    assert session.ingest(["docs"], prune=True).pruned == 1


class Word(BaseModel):
    """Arguments and result of the tool below."""

    word: str
    times: int = 2


def shout(session: Session) -> AgentTool:
    def run(given: Word) -> Word:
        return Word(word=given.word.upper() * given.times)

    async def arun(given: Word) -> Word:
        return run(given)

    return AgentTool("shout", "Says it louder.", Word, Word, run, arun)


async def test_a_tool_is_a_function_and_a_line(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.ingest_documents([make_document("Tea is green.", "tea.md", "text")])
    *_, tool = tools_of(session, (*AGENT_TOOLS, shout))
    function = tool.to_function_tool()
    assert function.call("hey").raw_output == (await function.acall(word="hey")).raw_output == Word(word="HEYHEY")
    assert function.call(times=1).is_error

    monkeypatch.setattr(mcp_server, "SERVER_TOOLS", (*SERVER_TOOLS, shout))
    server = mcp_server.make_server(session)
    offered = {one.name: one for one in await server.list_tools()}
    assert list(offered)[-1] == "shout"
    assert set(offered) > {"search", "ask", "get_passages", "describe_collection", "list_sources"}
    assert offered["shout"].input_schema["required"] == ["word"]
    assert list(offered["shout"].output_schema["properties"]) == ["word", "times"]
    assert all(one.output_schema and one.description for one in offered.values())


@pytest.mark.parametrize(
    ("command", "groups"),
    [
        ("ingest", ["all", "ingest", "server"]),
        ("search", ["all", "stages", "server"]),
        ("ask", ["all", "stages", "llm", "server"]),
        ("demo", ["all", "llm"]),
        ("info", ["all"]),
    ],
)
def test_an_option_is_a_field_with_its_description_type_and_default(command: str, groups: list[str]) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}).stdout
    lines = {line.split()[1]: " ".join(line.split()) for line in shown.splitlines() if " --" in line}
    for name, field in RagConfig.model_fields.items():
        flag = "--" + name.replace("_", "-")
        assert (flag in lines) == (name in fields_of([*groups, "servers"])), flag
        if flag in lines:
            assert str(field.description) in lines[flag]
            assert option_of(field).metavar in lines[flag]
            default = option_of(field).unset or field.default
            assert not default or f"[{str(default).removesuffix('.0')}]" in lines[flag]
