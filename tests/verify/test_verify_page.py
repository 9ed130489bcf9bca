"""The page about `verify` runs from top to bottom, and names every check."""

import re
from pathlib import Path

from qwen3_inference.verify import EMBEDDING_CHECKS, RERANK_CHECKS
from support.fault_server import FaultServer

PAGE = Path(__file__).parents[2] / "examples" / "verify.md"


def test_the_page_runs(embedding_folder, reranker_folder, capsys):
    text = PAGE.read_text(encoding="utf-8")
    with FaultServer(embedder=embedding_folder, reranker=reranker_folder, wrong="mean") as server:
        for written, real in (
            ("http://localhost:8000/v1", f"{server.url}/v1"),
            ("http://localhost:8001", server.url),
            ("Qwen/Qwen3-Embedding-0.6B", str(embedding_folder)),
            ("Qwen/Qwen3-Reranker-0.6B", str(reranker_folder)),
            ("WEIGHTS/embedding", str(embedding_folder)),
            ("WEIGHTS/reranker", str(reranker_folder)),
        ):
            text = text.replace(written, real)
        [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        exec(compile(block, PAGE.name, "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2] == "wrong"
    assert "mean pooling" in printed[-1]


def test_the_page_names_every_check():
    text = PAGE.read_text(encoding="utf-8")
    assert [check for check in (*EMBEDDING_CHECKS, *RERANK_CHECKS) if f"`{check}`" not in text] == []
