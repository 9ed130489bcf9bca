"""Remote engines under LlamaIndex: the same hits and scores as with local models, and the page that shows it."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.embeddings.qwen3 import Qwen3Embedding, use_instruction
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference.errors import NonFiniteResponseError
from support.engines import embedder, reranker

PAGE = Path(__file__).parents[2] / "examples" / "remote_engines.md"
TEXTS = [f"{thing} is kept {place}" for thing in ("data", "bread", "air") for place in ("in a box", "here", "warm")]
QUESTION = "Where is bread kept?"


def hits(embed, rerank):
    documents = [Document(text=text, id_=text) for text in TEXTS]
    retriever = VectorStoreIndex.from_documents(documents, embed_model=embed).as_retriever(similarity_top_k=6)
    nodes = retriever.retrieve(QUESTION)
    best = rerank.postprocess_nodes(nodes, query_str=QUESTION)
    return [(found.text, found.score) for found in [*nodes, *best]]


@pytest.mark.parametrize("task", [None, "Given a claim, retrieve passages that refute it"])
def test_an_index_on_two_servers_finds_what_a_local_one_finds(
    task, serve, remote_embedder, remote_reranker, embedding_folder, reranker_folder
):
    server = serve()
    remote = Qwen3Embedding(engine=remote_embedder(server)), Qwen3Rerank(engine=remote_reranker(server), top_n=4)
    local = Qwen3Embedding(engine=embedder(embedding_folder)), Qwen3Rerank(engine=reranker(reranker_folder), top_n=4)
    with use_instruction(task):
        found, expected = hits(*remote), hits(*local)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert np.allclose([score for _, score in found], [score for _, score in expected], atol=2e-5)
    assert remote[0].model_name == "model"
    assert remote[1].model == "model"


async def test_asynchronous_and_pickled(serve, remote_embedder, remote_reranker):
    server = serve()
    embed, rerank = Qwen3Embedding(engine=remote_embedder(server)), Qwen3Rerank(engine=remote_reranker(server))
    twin = pickle.loads(pickle.dumps(embed.engine)), pickle.loads(pickle.dumps(rerank.engine))
    vectors = await embed.aget_text_embedding_batch(TEXTS)
    assert vectors == await Qwen3Embedding(engine=twin[0]).aget_text_embedding_batch(TEXTS)
    ranked = await rerank.arank(QUESTION, TEXTS)
    assert ranked == Qwen3Rerank(engine=twin[1]).rank(QUESTION, TEXTS)
    assert [one.index for one in await rerank.arank(QUESTION, TEXTS, top_n=2)] == [one.index for one in ranked[:2]]


def test_a_non_finite_answer_keeps_its_kind_and_names_the_node(serve, remote_embedder, remote_reranker):
    server = serve()
    embed = Qwen3Embedding(engine=remote_embedder(server, send="tokens"), embed_batch_size=2)
    embed.get_text_embedding_batch(TEXTS)
    with (
        server.fault("nan", after=1),
        pytest.raises(NonFiniteResponseError, match=r"in the whole list: [23]") as caught,
    ):
        embed.get_text_embedding_batch(TEXTS)
    assert caught.value.indices[0] in (2, 3)
    nodes = VectorStoreIndex.from_documents([Document(text="one")], embed_model=embed).as_retriever().retrieve("one")
    rerank = Qwen3Rerank(engine=remote_reranker(server))
    with server.fault("nan"), pytest.raises(NonFiniteResponseError, match="probe texts of the first use"):
        rerank.postprocess_nodes(nodes, query_str="one")
    rerank.postprocess_nodes(nodes, query_str="one")
    with server.fault("nan"), pytest.raises(NonFiniteResponseError, match=nodes[0].node_id):
        rerank.postprocess_nodes(nodes, query_str="two")


@pytest.mark.filterwarnings("ignore:1 of")
def test_the_page_runs_from_top_to_bottom(serve, embedding_folder, reranker_folder, monkeypatch, capsys):
    monkeypatch.setattr(Settings, "_llm", None)
    servers = {8000: serve(), 8001: serve(), 8080: serve("tei"), 8082: serve(), 11434: serve("ollama")}
    servers[8083] = serve("llama.cpp", template=True)
    text = PAGE.read_text()
    for port, server in servers.items():
        text = text.replace(f"http://localhost:{port}", server.url)
    text = text.replace("Qwen/Qwen3-Embedding-0.6B", str(embedding_folder))
    text = text.replace("Qwen/Qwen3-Reranker-0.6B", str(reranker_folder))
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name} block {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert "(1, 16)" in printed
    assert "SecretStr('**********')" in printed
    assert all(server.seen for server in servers.values())


def test_the_pages_commands_run(serve, embedding_folder, reranker_folder, monkeypatch, tmp_path):
    servers = {8000: serve(), 8001: serve(), 8083: serve("llama.cpp", template=True)}
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for port, server in servers.items():
        commands = commands.replace(f"http://localhost:{port}", server.url)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bread.md").write_text("# Bread\n\nYeast turns sugar into gas.\n")
    monkeypatch.setenv("QWEN3_RAG_EMBED_TOKENIZER", str(embedding_folder))
    monkeypatch.setenv("QWEN3_RAG_RERANK_TOKENIZER", str(reranker_folder))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    done = subprocess.run(["bash", "-e"], input=commands, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Yeast turns sugar into gas.") == 2
    assert {seen.body["model"] for seen in servers[8000].seen} == {"Qwen/Qwen3-Embedding-0.6B"}
    assert all(server.seen for server in servers.values())
