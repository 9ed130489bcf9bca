"""Ways to embed documents and queries with a Qwen3 embedder: ours and those it is measured against.

Each is made from (checkpoint folder, device, dtype) and answers `run(job)` with one vector per text, or with the
vector of the job's query when it has no texts. `passed` says which settings differ from the library's defaults.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from packages import need
from peers import LlamaCppEmbedder, OpenVinoEmbedder
from prompts import query_prompt
from server import Server
from texts import Job

Vectors = Sequence[Sequence[float]]


class Ours:
    """`Qwen3Embedding`, as LlamaIndex calls it."""

    passed = "device, dtype"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        from llama_index.embeddings.qwen3 import Qwen3Embedding

        self.model = Qwen3Embedding(str(folder), device=device, dtype=dtype)

    def run(self, job: Job) -> Vectors:
        return _through_llama_index(self.model, job)


class SentenceTransformers:
    """`SentenceTransformer.encode` with its default batch size of 32."""

    passed = "device, dtype"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(folder), device=device, model_kwargs={"dtype": getattr(torch, dtype)})

    def run(self, job: Job) -> Vectors:
        if job.texts:
            found = self.model.encode(list(job.texts), show_progress_bar=False)
        else:
            found = self.model.encode([job.query], prompt_name="query", show_progress_bar=False)
        return _lists(found)


class LlamaIndex:
    """`HuggingFaceEmbedding` at its defaults: ten texts at a time."""

    passed = "device; model_kwargs: dtype; query_instruction (it has none for this model)"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch

        module = need("llama_index.embeddings.huggingface", "llama-index-embeddings-huggingface")
        self.model = module.HuggingFaceEmbedding(
            str(folder),
            device=device,
            query_instruction=query_prompt(""),
            model_kwargs={"dtype": getattr(torch, dtype)},
        )

    def run(self, job: Job) -> Vectors:
        return _through_llama_index(self.model, job)


class Vllm:
    """A vLLM server's `/v1/embeddings`, all texts in one request; the client writes the query prompt."""

    passed = "the server's own settings"

    def __init__(self, url: str) -> None:
        self.server = Server(url)

    def run(self, job: Job) -> Vectors:
        answer = self.server.post("/v1/embeddings", input=list(job.texts) or [query_prompt(job.query)])
        return [row["embedding"] for row in sorted(answer["data"], key=lambda row: row["index"])]


class Reference:
    """transformers in float32, one text at a time: what the others' vectors are compared with."""

    passed = "float32"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()

    def run(self, job: Job) -> Vectors:
        import torch

        vectors = []
        for text in job.texts or (query_prompt(job.query),):
            tokens = self.tokenizer(text, return_tensors="pt").to(self.model.device)
            with torch.no_grad():
                hidden = self.model(**tokens).last_hidden_state[0, -1]
            vectors.append(torch.nn.functional.normalize(hidden, dim=0).tolist())
        return vectors


def _through_llama_index(model: Any, job: Job) -> Vectors:
    if job.texts:
        vectors: Vectors = model.get_text_embedding_batch(list(job.texts))
        return vectors
    return [model.get_query_embedding(job.query)]


def _lists(array: Any) -> Vectors:
    return [[float(value) for value in row] for row in array]


EMBEDDERS = {
    "ours": Ours,
    "sentence-transformers": SentenceTransformers,
    "llamaindex": LlamaIndex,
    "openvino": OpenVinoEmbedder,
    "openvino-int8": partial(OpenVinoEmbedder, int8=True),
    "llama.cpp": LlamaCppEmbedder,
    "reference": Reference,
}
