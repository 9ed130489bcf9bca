"""What people point at Qwen3's models: real servers, right and wrong, and the clients that LlamaIndex has for them."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from model_servers import VLLM_RERANKER, llama_cpp, protocols, vllm
from packages import need
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from shapes import TASK

CONTEXT, SPOKEN = 1024, 512
"""Tokens that are asked of the servers, and that are left of a text behind the protocols of TEI and Ollama."""
PROMPT = f"Instruct: {TASK}\nQuery:"
KEEP = 32
"""Nodes that a postprocessor keeps."""


@dataclass(frozen=True)
class Case:
    """`wrong`: the checks that must say so with the weights at hand. `conforms`: the suite is run on this one."""

    server: str
    client: str
    make: Callable[[], Any]
    wrong: frozenset[str] = frozenset()
    conforms: bool = False


@dataclass(frozen=True)
class Setting:
    """`example_template`: vLLM's examples/pooling/score/template/qwen3_reranker.jinja, where it is at hand."""

    venv: Path
    embedder: Path
    reranker: Path
    scratch: Path
    example_template: Path | None


def embedding_cases(here: Setting) -> Iterator[Case]:
    """Each while its server runs."""
    with vllm(here.venv, here.embedder, here.scratch / "vllm.log", "float32") as url:
        yield Case("vLLM", "Qwen3Embedding", _ours(url, here), conforms=True)
        yield Case("vLLM", "OpenAILikeEmbedding", _openai_like(url), frozenset({"prompt", "newlines"}), True)
        with protocols(url, here.embedder, here.scratch / "spoken.log", SPOKEN) as spoken:
            wrong = frozenset({"prompt", "newlines", "truncation"})
            yield Case("TEI's protocol", "TextEmbeddingsInference", _tei(spoken, None), wrong)
            yield Case(
                "TEI's protocol", "TextEmbeddingsInference, query_instruction", _tei(spoken, PROMPT), wrong, True
            )
            yield Case("Ollama's protocol", "OllamaEmbedding", _ollama(spoken, None), wrong)
            yield Case("Ollama's protocol", "OllamaEmbedding, query_instruction", _ollama(spoken, PROMPT), wrong, True)
            for dialect in ("tei", "ollama"):
                name = {"tei": "TEI", "ollama": "Ollama"}[dialect]
                yield Case(f"{name}'s protocol", "Qwen3Embedding", _ours(spoken, here, dialect, SPOKEN))
    whole = here.embedder
    for server, folder, pooling, wrong in (
        ("llama.cpp, --pooling last", whole, "last", ()),
        ("llama.cpp, pooling of the file", whole, "default", ()),
        ("llama.cpp, --pooling mean", whole, "mean", ("pooling",)),
        ("llama.cpp, a file that appends no end, --pooling last", _without_end(here), "last", ("eos",)),
    ):
        with llama_cpp(folder, here.scratch / "llama.log", pooling) as url:
            yield Case(server, "Qwen3Embedding, ids", _ours(url, here), frozenset(wrong) - {"eos"})
            if wrong:
                yield Case(server, "Qwen3Embedding, texts", _ours(url, here, send="text"), frozenset(wrong))
            more = frozenset({"prompt", "newlines", *wrong})
            yield Case(server, "OpenAILikeEmbedding", _openai_like(url), more)


def rerank_cases(here: Setting) -> Iterator[Case]:
    """Each while its server runs."""
    template = here.reranker / "chat_template.jinja"
    unwritten, wrong = "vLLM without a template", frozenset({"template"})
    with vllm(here.venv, here.reranker, here.scratch / "plain.log", "float32", *VLLM_RERANKER) as url:
        yield Case(unwritten, "Qwen3Rerank, tokens", _our_rerank(url, here, "tokens"), conforms=True)
        yield Case(unwritten, "Qwen3Rerank, client", _our_rerank(url, here, "client"))
        yield Case(unwritten, "Qwen3Rerank, server", _our_rerank(url, here, "server"), wrong)
        yield Case(unwritten, "XinferenceRerank", _xinference(url), wrong, True)
    for name, file, faults, of_ours in (
        (
            "vLLM, --chat-template with the repository's roles",
            template,
            (),
            ("instruction",),
        ),  # it has no place for one
        ("vLLM, --chat-template of its own examples", here.example_template, ("template",), ("template",)),
    ):
        if file is None:
            continue
        options = (*VLLM_RERANKER, "--chat-template", str(file))
        with vllm(here.venv, here.reranker, here.scratch / "templated.log", "float32", *options) as url:
            yield Case(name, "Qwen3Rerank, tokens", _our_rerank(url, here, "tokens"))
            yield Case(name, "Qwen3Rerank, client", _our_rerank(url, here, "client"), wrong)
            yield Case(name, "Qwen3Rerank, server", _our_rerank(url, here, "server"), frozenset(of_ours))
            yield Case(name, "XinferenceRerank", _xinference(url), frozenset(faults))
    folder = here.scratch / "qwen3-reranker"  # the name by which the converter knows it
    shutil.copytree(here.reranker, folder)
    with llama_cpp(folder, here.scratch / "rank.log", "rank") as url:
        yield Case("llama.cpp", "Qwen3Rerank, server", _our_rerank(url, here, "server", "llama.cpp"))
        yield Case("llama.cpp", "TextEmbeddingInference (TEI's rerank)", _tei_rerank(url), conforms=True)


def _ours(
    url: str, here: Setting, dialect: str = "openai", max_length: int = CONTEXT, send: str = "auto"
) -> Callable[[], Any]:
    settings = {"dialect": dialect, "tokenizer": str(here.embedder), "max_length": max_length, "send": send}
    return lambda: Qwen3Embedding(engine=RemoteEmbeddingEngine(url, "model", timeout=300, **settings))


def _our_rerank(url: str, here: Setting, prompt: str, dialect: str = "vllm") -> Callable[[], Any]:
    settings = {"dialect": dialect, "prompt": prompt, "tokenizer": str(here.reranker), "max_length": CONTEXT}
    return lambda: Qwen3Rerank(engine=RemoteRerankEngine(url, "model", timeout=300, **settings), top_n=KEEP)


def _openai_like(url: str) -> Callable[[], Any]:
    module = need("llama_index.embeddings.openai_like", "llama-index-embeddings-openai-like")
    return lambda: module.OpenAILikeEmbedding(model_name="model", api_base=f"{url}/v1", api_key="none", max_retries=1)


def _tei(url: str, prompt: str | None) -> Callable[[], Any]:
    package = "llama-index-embeddings-text-embeddings-inference"
    module = need("llama_index.embeddings.text_embeddings_inference", package)
    return lambda: module.TextEmbeddingsInference(model_name="model", base_url=url, query_instruction=prompt)


def _ollama(url: str, prompt: str | None) -> Callable[[], Any]:
    module = need("llama_index.embeddings.ollama", "llama-index-embeddings-ollama")
    return lambda: module.OllamaEmbedding(model_name="model", base_url=url, query_instruction=prompt)


def _xinference(url: str) -> Callable[[], Any]:
    module = need("llama_index.postprocessor.xinference_rerank", "llama-index-postprocessor-xinference-rerank")
    return lambda: module.XinferenceRerank(model="model", base_url=url, top_n=KEEP)


def _tei_rerank(url: str) -> Callable[[], Any]:
    module = need("llama_index.postprocessor.tei_rerank", "llama-index-postprocessor-tei-rerank")
    return lambda: module.TextEmbeddingInference(base_url=url, top_n=KEEP)


def _without_end(here: Setting) -> Path:
    """The embedder with a tokenizer that appends nothing, from which the converter makes what old ones made."""
    folder = here.scratch / "without-end"
    shutil.copytree(here.embedder, folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
