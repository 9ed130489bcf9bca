"""Doing again what was ingested, as it was: by the library, and as a job that an agent starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from qwen3_rag import ConfigError, Models, RagConfig, Session, make_document
from qwen3_rag.agents.tools import tools_of
from qwen3_rag.serve.jobs import Jobs
from qwen3_rag.serve.mcp_server import make_server
from support.hashing import IDENTITY, HashingEmbedding

from .conftest import write

MODELS = Models(HashingEmbedding(), IDENTITY, None)
FILES: dict[str, str | bytes] = {
    "kb/a.md": "# A\n\nOne.",
    "kb/b.py": "print('b')",
    "kb/drafts/c.md": "# C\n\nThree.",
    "kb/red team/d.md": "# D\n\nFour.",
    "kb/red team/[x]/e.md": "# E\n\nFive.",
}


@pytest.fixture
def session(config: RagConfig, tmp_path: Path) -> Iterator[Session]:
    with Session(config.model_copy(update={"rerank_model": "none"}), models=MODELS) as opened:
        yield opened


def rows(session: Session) -> dict[str, dict[str, Any]]:
    """The metadata of each document."""
    return {
        source: dict(session.store.get_nodes([session.show(source).passages[0].node_id])[0].metadata)
        for source in session.sources()
    }


def test_it_is_as_it_was_with_what_has_changed(session: Session) -> None:
    folder = write(Path.cwd(), FILES) / "kb"
    session.ingest([folder], include=["*.md"], exclude=["drafts/"], metadata={"team": "blue", "year": 2024})
    session.ingest([folder / "red team" / "[x]"], metadata={"team": "red"})
    session.ingest([folder / "red team"], metadata={"team": "red"}, gitignore=False)
    before = rows(session)
    assert {source: fields["team"] for source, fields in before.items()} == {
        "kb/a.md": "blue",
        "kb/red team/d.md": "red",
        "kb/red team/[x]/e.md": "red",
    }
    nothing = session.sync()
    assert not nothing.has_changed, nothing
    assert rows(session) == before

    write(Path.cwd(), {"kb/a.md": "# A\n\nNew.", "kb/f.md": "# F\n\nSix.", "kb/g.py": "pass", "kb/drafts/h.md": "# H"})
    (folder / "red team" / "d.md").unlink()
    report = session.sync()
    assert (report.written, report.deleted, report.pruned) == (2, 2, 1)
    after = rows(session)
    assert {source: fields["team"] for source, fields in after.items()} == {
        "kb/a.md": "blue",
        "kb/f.md": "blue",
        "kb/red team/[x]/e.md": "red",
    }
    assert after["kb/f.md"]["year"] == 2024


def test_the_last_options_of_a_path_count(session: Session) -> None:
    folder = write(Path.cwd(), FILES) / "kb"
    session.ingest([folder], include=["*.py"])
    session.ingest([folder], include=["*.md"], prune=True)
    assert "kb/b.py" in session.sources(), "not spoken of by the second ingest"
    (folder / "b.py").write_text("print('changed')")
    assert session.sync().written == 0


def test_a_path_that_is_gone_keeps_its_passages_and_is_named(session: Session) -> None:
    folder = write(Path.cwd(), FILES) / "kb"
    write(Path.cwd(), {"more/z.md": "# Z\n\nMore."})
    session.ingest([folder, "more"])
    shutil.rmtree("more")
    report = session.sync()
    assert report.skipped == [(str(Path("more").absolute()), "not there any more; its passages stay")]
    assert "more/z.md" in session.sources()


def test_of_documents_nothing_is_known(session: Session) -> None:
    session.ingest_documents([make_document("Text.", "a", "text")])
    with pytest.raises(ConfigError, match="qwen3-rag ingest PATH"):
        session.sync()


async def test_an_agent_starts_it_and_looks_at_it(session: Session) -> None:
    folder = write(Path.cwd(), FILES) / "kb"
    session.ingest([folder], include=["*.md"])
    (folder / "a.md").write_text("# A\n\nChanged.")
    (folder / "bad.md").write_bytes(b"\xff\xfe\xff")
    jobs = Jobs()
    async with Client(make_server(session, jobs)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools)[-2:] == ["sync", "sync_status"]
        marks = {name: tools[name].annotations for name in ("search", "sync", "sync_status")}
        assert [mark.read_only_hint for mark in marks.values()] == [True, False, True]
        assert marks["sync"].destructive_hint
        started = (await client.call_tool("sync", {})).structured_content
        state = started
        while state["status"] in ("waiting", "running"):
            state = (await client.call_tool("sync_status", {"job": started["job"]})).structured_content
        assert (state["status"], state["written"], state["deleted"]) == ("done", 1, 1)
        assert len(state["skipped"]) == 1
        assert state["skipped"][0].startswith("skipped kb/bad.md: ")
        again = (await client.call_tool("sync", {})).structured_content
        assert again["job"] != started["job"]
        for arguments in ({"job": "none"}, {"job": None}, {}):
            assert (await client.call_tool("sync_status", arguments)).is_error
        # No path can be named: not of this machine's other files, whoever says so.
        assert (await client.call_tool("sync", {"paths": ["/etc"]})).is_error
    assert jobs.stop(60)
    assert "Changed." in session.show("kb/a.md").passages[0].text


async def test_without_leave_nothing_is_written(session: Session) -> None:
    session.ingest([write(Path.cwd(), FILES) / "kb"])
    async with Client(make_server(session)) as client:
        assert not {tool.name for tool in (await client.list_tools()).tools} & {"sync", "sync_status"}
        with suppress(MCPError):
            assert (await client.call_tool("sync", {})).is_error
    assert all(not tool.writes for tool in tools_of(session))


async def test_while_one_runs_another_call_gives_the_same_job(session: Session) -> None:
    jobs = Jobs()
    session.ingest([write(Path.cwd(), FILES) / "kb"])
    async with Client(make_server(session, jobs)) as client:
        with jobs._writing:  # somebody else's ingest
            first = (await client.call_tool("sync", {})).structured_content
            second = (await client.call_tool("sync", {})).structured_content
            assert first["job"] == second["job"]
            assert first["status"] == "waiting"
    assert jobs.stop(60)
