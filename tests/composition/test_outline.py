"""The tool get_outline on a real collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from qwen3_rag import RagConfig, Session
from qwen3_rag.agents.outlining import Outline, outline_tool
from qwen3_rag.store.connect import release_lite

TEA = "# Tea\n\nA leaf.\n\n## Green\n\nSteep.\n\n## <b>Black\n\n" + "Boil it well, and wait. " * 60


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    uri, docs = str(tmp_path / "kb.db"), tmp_path / "docs"
    docs.mkdir()
    (docs / "tea.md").write_text(TEA)
    (docs / "long.md").write_text("\n\n".join(f"# Chapter {i}\n\nText {i}." for i in range(500)))
    with Session(RagConfig(uri=uri, embed_model="tiny", rerank_model="none", chunk_size=128)) as session:
        session.ingest([docs])
        yield session
    release_lite(uri)


async def test_an_agent_finds_its_way_through_a_document(session: Session) -> None:
    tool = outline_tool(session)
    found = tool.call(source="docs/tea.md")
    assert isinstance(found, Outline)
    assert found == await tool.acall("docs/tea.md")
    assert [(one.header_path, one.position) for one in found.sections] == [
        ("Tea", 0),
        ("Tea > Green", 1),
        ("Tea > <b>Black", 2),
    ]
    assert [one.passages for one in found.sections] == [1, 1, found.total - 2]
    for one in found.sections:
        [first] = session.show("docs/tea.md", one.position, 1).passages
        assert first.header_path == one.header_path
    assert "<b>" not in str(found), "a heading is material, which writes no tags"

    long = tool.call(source="docs/long.md")
    assert isinstance(long, Outline)
    assert len(str(long)) <= 12_000
    left = 500 - len(long.sections)
    assert left > 0
    assert f"{left} more headings from position {long.sections[-1].position + 1} on" in str(long)
    assert "docs/tea.md" in str(tool.call(source="tea.md")), "a name that is none is answered with the likely one"
