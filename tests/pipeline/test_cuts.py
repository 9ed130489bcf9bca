"""Every way in which text of a document ends in no vector is told with its source, at each ingest that meets it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, Document, TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from qwen3_inference.texts import TextCutWarning
from qwen3_rag import ConfigError, IngestReport, RagConfig, ingest, ingest_documents, open_store
from qwen3_rag.cli.program import app
from qwen3_rag.documents.read_pdf import PdfReader
from qwen3_rag.models import identify
from support.hashing import HashingEmbedding
from typer.testing import CliRunner

from .conftest import OpenStore, held_ids, write
from .test_documents import make_pdf

ROOM = 4_095
"""Tokens of a text that the small checkpoints read: their positions without the end."""
CODE = "# Log\n\n```\n" + "value 0123456789 0123456789\n" * 400 + "```\n"
DIGITS = json.dumps({"_id": "7", "title": "Digits", "text": "0123456789 " * 600})


class OnePassage(NodeParser):
    """A parser of one's own, whose nodes are embedded with their metadata."""

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **_: Any) -> list[BaseNode]:
        return [TextNode(text=one.get_content(), metadata=one.metadata, id_=f"{one.node_id}!") for one in nodes]


class OneId(OnePassage):
    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **_: Any) -> list[BaseNode]:
        return [TextNode(text=half, id_="same") for one in nodes for half in one.get_content().split()]


@pytest.fixture
def model(pair: Path) -> Qwen3Embedding:
    return Qwen3Embedding(pair / "embedding", device="cpu")


@pytest.fixture
def command(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    return lambda *arguments: CliRunner().invoke(app, ["ingest", *arguments])


def test_code_beyond_the_model_is_reported_with_its_source_every_time(command: Any) -> None:
    write(Path("docs"), {"log.md": CODE, "fine.md": "# Fine\n\nShort.\n", "corpus.jsonl": DIGITS})
    for written in (3, 0):
        result = command("docs", "--json")
        assert result.exit_code == 3
        report = json.loads(result.stdout)
        assert (report["written"], report["skipped"]) == (written, [])
        by_source = {one["source"]: one["reason"] for one in report["cut"]}
        assert set(by_source) == {"docs/log.md", "docs/corpus.jsonl#7"}
        assert "of passage 0 the embedding model reads the first 4,095 tokens (there are " in by_source["docs/log.md"]
        assert f"cut docs/log.md: {by_source['docs/log.md']}" in result.stderr
        assert "2 cut" in result.stderr
        assert "Warning" not in result.stderr
    assert "cut docs/log.md" in command("docs", "--quiet").stderr


def test_what_fits_is_no_cut(command: Any) -> None:
    write(Path("docs"), {"prose.md": "# Prose\n\n" + "Some words make a sentence of it. " * 2_000})
    result = command("docs", "--json")
    assert (result.exit_code, json.loads(result.stdout)["cut"]) == (0, [])


def test_passages_that_are_asked_for_too_large(command: Any) -> None:
    write(Path("docs"), {"digits.txt": "0123456789, " * 9_000})
    result = command("docs", "--json", "--chunk-size", "8192")
    [cut] = json.loads(result.stdout)["cut"]
    assert (result.exit_code, cut["source"]) == (3, "docs/digits.txt")
    assert "passages (0, 1, 2" in cut["reason"]
    assert "lower --chunk-size" in cut["reason"]
    assert command("docs", "--chunk-size", "512").exit_code == 0


def test_metadata_that_leaves_no_room(lite: str, model: Qwen3Embedding) -> None:
    config = RagConfig(uri=lite, embed_model=str(model.model_name))
    store = open_store(config, identify(config), create=True)
    documents = [
        Document(text="Otters.", id_="lost", metadata={"notes": "word " * 2_000}),
        Document(text="Badgers.", id_="fine", metadata={"notes": "word"}),
        Document(text="word " * 2_500, id_="long", metadata={"notes": "word"}),
    ]
    with pytest.warns(TextCutWarning):
        report = ingest_documents(documents, store=store, embed_model=model, parser=OnePassage())
    told = dict(report.cut)
    assert set(told) == {"lost", "long"}
    assert "reads metadata alone, which takes all of its 4,095 tokens" in told["lost"]
    assert "reads the first 4,095 tokens" in told["long"]
    assert not report.complete


def test_no_weights_are_loaded_and_no_tokenizer_for_short_texts(model: Qwen3Embedding) -> None:
    assert model.overlong([TextNode(text="x" * ROOM)]) == []
    engine = model._engine_in_use()
    assert (engine._tokenizer, engine._model) == (None, None)
    [found] = model.overlong([TextNode(text="tea"), TextNode(text="0 " * ROOM)])
    assert (found.index, found.room) == (1, ROOM)
    assert engine._model is None


def test_pages_given_one_by_one_are_all_kept(
    tmp_path: Path, store_of: OpenStore, embed_model: HashingEmbedding
) -> None:
    pages = PdfReader().load_data(make_pdf(tmp_path / "a.pdf", [(12, "Otters swim.")], [(12, "Badgers dig.")]))
    assert len({page.node_id for page in pages}) == 1
    store = store_of()
    report = ingest_documents(pages, store=store, embed_model=embed_model)
    assert (report.written, report.documents, store.count()) == (2, 1, 2)


def test_a_second_document_of_one_id_is_reported(store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    documents = [Document(text=text, id_=name) for text, name in (("one", "a"), ("two", "b"), ("three", "a"))]
    report = ingest_documents(documents, store=store_of(), embed_model=embed_model)
    assert report.skipped == [("a", "second document with this id; the first one is used")]
    assert report.written == 2


def test_passages_of_one_id_are_refused(store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    store = store_of()
    with pytest.raises(ConfigError, match=r"document 'd': two of its passages have the id 'same'"):
        ingest_documents([Document(text="a b", id_="d")], store=store, embed_model=embed_model, parser=OneId())
    assert held_ids(store) == []


def test_a_file_without_a_passage_is_reported(store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    folder = write(
        Path("docs"), {"tabs.mdx": 'import Tabs from "./tabs"\n\nexport const x = 1\n', "a.md": "# A\n\nTea.\n"}
    )
    report = ingest([folder], store=store_of(), embed_model=embed_model)
    assert report.skipped == [("docs/tabs.mdx", "no text in it")]
    assert report.written == 1


def test_documents_without_text_are_reported(store_of: OpenStore, embed_model: HashingEmbedding) -> None:
    report = ingest_documents([Document(text=" ", id_="e")], store=store_of(), embed_model=embed_model)
    assert (report.skipped, report.written) == ([("e", "no text in it")], 0)


def test_a_report_is_read_again_from_its_json() -> None:
    """As the command line does with what a service has ingested."""
    report = IngestReport(documents=2, skipped=[("a.md", "empty")], cut=[("b.md", "passage 0")], passed_over={".x": 1})
    assert IngestReport.from_json(json.loads(json.dumps(report.to_json()))) == report
