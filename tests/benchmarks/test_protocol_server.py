"""The server that speaks TEI's and Ollama's protocols: exact vectors, long texts cut in silence, which verify sees."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from qwen3_inference.remote import RemoteEmbeddingEngine
from qwen3_inference.verify import verify_embedding
from support.engines import assert_close, embedder
from support.fault_server import FaultServer
from support.servers import served

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "benchmarks" / "protocol_server.py"
TEXTS = ["hello world", "a\nb", "  blanks ", "日本語"]


@pytest.fixture(scope="module")
def address(embedding_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("protocols") / "log"
    with FaultServer(embedder=embedding_folder) as upstream:
        command = [sys.executable, str(SCRIPT), upstream.url, str(embedding_folder), "--limit", "120"]
        with served(command, log) as port:
            yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("dialect", ["tei", "ollama"])
def test_vectors_are_the_models(dialect: str, address: str, embedding_folder: Path) -> None:
    engine = RemoteEmbeddingEngine(address, "model", dialect=dialect, tokenizer=str(embedding_folder))
    assert_close(engine.embed_documents(TEXTS), embedder(embedding_folder).embed_documents(TEXTS), 2e-6)
    with pytest.raises(ValueError, match="less than 120 tokens"):
        engine.embed_documents(["many words " * 200])


def test_the_clients_of_the_protocol_are_cut_in_silence(address: str, embedding_folder: Path) -> None:
    """LlamaIndex's own say no `truncate`, and long texts lose their end."""
    engine = RemoteEmbeddingEngine(address, "model", dialect="tei", tokenizer=str(embedding_folder))
    engine.dialect = replace(engine.dialect, body=lambda asked: {"inputs": list(asked.inputs)})
    engine._asking.dialect = engine.dialect
    [found] = [one for one in verify_embedding(engine, long_tokens=300) if one.check == "truncation"]
    assert (found.verdict, "in silence" in found.found) == ("wrong", True)
