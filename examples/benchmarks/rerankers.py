"""Ways to score passages with a Qwen3 reranker: ours and those it is measured against.

Each is made from (checkpoint folder, device, dtype) and answers `run(job)` with logit(yes) - logit(no) per passage.
`passed` says which settings differ from the library's defaults. Libraries are imported when a method is made.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from packages import need
from peers import LlamaCppReranker, OpenVinoReranker
from prompts import SUFFIX, SYSTEM, document_prompt, pair_text
from server import Server
from shapes import TASK
from texts import Job

# The tutorial scores all passages in one batch. Its head computes the logits of every position, which for 100
# abstracts of up to 600 tokens would be about 18 GB in bf16, so more passages than this go in several batches.
TUTORIAL_BATCH = 10


class Postprocessor:
    """Scores passages as a LlamaIndex query engine does: nodes in, nodes with probabilities out."""

    reranker: Any

    def run(self, job: Job) -> list[float]:
        from llama_index.core.schema import NodeWithScore, TextNode

        nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in job.texts]
        positions = {found.node.node_id: position for position, found in enumerate(nodes)}
        logits = [0.0] * len(nodes)
        for found in self.reranker.postprocess_nodes(nodes, query_str=job.query):
            logits[positions[found.node.node_id]] = _logit(float(found.score))
        return logits


class Ours(Postprocessor):
    """`Qwen3Rerank`, as a LlamaIndex postprocessor."""

    passed = "device, dtype; top_n: all"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

        self.reranker = Qwen3Rerank(str(folder), top_n=100_000, device=device, dtype=dtype)


class Tutorial:
    """transformers with the code of the model card: left padding, the logits of all positions, one batch."""

    passed = f"device, dtype; batches of {TUTORIAL_BATCH}"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        self.model = model.to(device).eval()
        self.yes, self.no = (self.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
        self.prefix = self.tokenizer.encode(SYSTEM, add_special_tokens=False)
        self.suffix = self.tokenizer.encode(SUFFIX, add_special_tokens=False)

    def run(self, job: Job) -> list[float]:
        batches = [job.texts[at : at + TUTORIAL_BATCH] for at in range(0, len(job.texts), TUTORIAL_BATCH)]
        return [logit for batch in batches for logit in self.score(job.query, batch)]

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        import torch

        with torch.no_grad():
            logits = self.model(**self.inputs(query, passages)).logits[:, -1, :].float()
        return (logits[:, self.yes] - logits[:, self.no]).tolist()

    def inputs(self, query: str, passages: Sequence[str], max_length: int = 8192) -> Any:
        tokens = self.tokenizer(
            [pair_text(query, passage) for passage in passages],
            padding=False,
            truncation="longest_first",
            return_attention_mask=False,
            add_special_tokens=False,
            max_length=max_length - len(self.prefix) - len(self.suffix),
        )
        rows = {"input_ids": [self.prefix + row + self.suffix for row in tokens["input_ids"]]}
        return self.tokenizer.pad(rows, padding=True, return_tensors="pt").to(self.model.device)


class Reference(Tutorial):
    """The same tokens in float32, one passage at a time: what the others' results are compared with."""

    passed = "float32"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        super().__init__(folder, device, "float32")

    def run(self, job: Job) -> list[float]:
        import torch

        logits = []
        for passage in job.texts:
            with torch.no_grad():
                row = self.model(**self.inputs(job.query, [passage]), logits_to_keep=1).logits[0, -1].double()
            logits.append(float(row[self.yes] - row[self.no]))
        return logits


class SentenceTransformers:
    """`CrossEncoder.predict` with its default batch size of 32."""

    passed = "device, dtype; activation: none, to read logits"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch
        from sentence_transformers import CrossEncoder

        self.model = CrossEncoder(
            str(folder),
            device=device,
            activation_fn=torch.nn.Identity(),
            model_kwargs={"dtype": getattr(torch, dtype)},
        )

    def run(self, job: Job) -> list[float]:
        pairs = [(job.query, passage) for passage in job.texts]
        return [float(score) for score in self.model.predict(pairs, show_progress_bar=False)]


class LlamaIndex(Postprocessor):
    """`SentenceTransformerRerank` at its defaults, which cut the prompt to 512 tokens."""

    passed = "device, dtype; top_n: all"

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        import torch

        module = need("llama_index.postprocessor.sbert_rerank", "llama-index-postprocessor-sbert-rerank")
        self.reranker = module.SentenceTransformerRerank(
            str(folder),
            device=device,
            top_n=100_000,
            cross_encoder_kwargs={"model_kwargs": {"dtype": getattr(torch, dtype)}},
        )


class Vllm:
    """A vLLM server's `/score`, all passages in one request; the client writes the prompt."""

    passed = "the server's own settings"

    def __init__(self, url: str) -> None:
        self.server = Server(url)

    def run(self, job: Job) -> list[float]:
        prompts = [document_prompt(job.query, passage) for passage in job.texts]
        shared = f"{SYSTEM}<Instruct>: {TASK}\n<Query>: {job.query}\n"
        answer = self.server.post("/score", text_1=shared, text_2=[prompt[len(shared) :] for prompt in prompts])
        rows = sorted(answer["data"], key=lambda row: row["index"])
        return [_logit(float(row["score"])) for row in rows]


def _logit(probability: float) -> float:
    """The logit difference that a probability came from."""
    if not 0.0 < probability < 1.0:
        return math.copysign(math.inf, probability - 0.5)
    return math.log(probability) - math.log1p(-probability)


RERANKERS = {
    "ours": Ours,
    "tutorial": Tutorial,
    "sentence-transformers": SentenceTransformers,
    "llamaindex": LlamaIndex,
    "openvino": OpenVinoReranker,
    "openvino-int8": partial(OpenVinoReranker, int8=True),
    "llama.cpp": LlamaCppReranker,
    "reference": Reference,
}
