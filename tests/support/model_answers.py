"""What a model server computes, by transformers, and the shape in which each kind of server answers."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM

from support.reference import TASK, _model, tokenizer_of

Item = tuple[int, Any]
PROMPT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)


@lru_cache(maxsize=4096)
def vector(folder: Path, ids: tuple[int, ...]) -> np.ndarray:
    """The unit vector of one sequence."""
    with torch.no_grad():
        hidden = _model(AutoModel, folder)(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
    return torch.nn.functional.normalize(hidden, dim=-1).numpy()


@lru_cache(maxsize=4096)
def probability(folder: Path, ids: tuple[int, ...]) -> float:
    tokenizer = tokenizer_of(folder)
    with torch.no_grad():
        logits = _model(AutoModelForCausalLM, folder)(input_ids=torch.tensor([ids]), logits_to_keep=1).logits[0, -1]
    yes, no = tokenizer.convert_tokens_to_ids("yes"), tokenizer.convert_tokens_to_ids("no")
    return float(torch.sigmoid(logits.double()[yes] - logits.double()[no]))


def text_ids(folder: Path, *texts: str) -> tuple[int, ...]:
    """The ids of texts one after the other, as a server makes them: control tokens in them are themselves."""
    return tuple(token for text in texts for token in tokenizer_of(folder)(text)["input_ids"])


def scores(folder: Path, body: dict[str, Any], template: bool) -> list[float]:
    """Of a body in any dialect: ids, or texts that go into a template or are put one after the other."""
    if "input" in body:  # vLLM's /classify
        return [probability(folder, tuple(ids)) for ids in body["input"]]
    if "items" in body:  # SGLang's /v1/score
        return [probability(folder, (*body["query"], *ids)) for ids in body["items"]]
    documents = body.get("documents", body.get("texts"))
    query = body["queries"][0] if "queries" in body else body["query"]
    if not template:
        return [probability(folder, text_ids(folder, query, document)) for document in documents]
    task = next((body[name] for name in ("instruction", "instruct", "task") if body.get(name)), TASK)
    rendered = [PROMPT.format(task=task, query=query, document=document) for document in documents]
    return [probability(folder, text_ids(folder, text)) for text in rendered]


def _results(items: Sequence[Item]) -> Any:
    return {"results": [{"index": index, "relevance_score": score} for index, score in items]}


def _entries(items: Sequence[Item]) -> Any:
    return [{"score": score, "index": index} for index, score in items]


SCORE_SHAPES: dict[str, Callable[[Sequence[Item]], Any]] = {
    "/classify": lambda items: {
        "data": [{"index": i, "label": None, "probs": [s], "num_classes": 1} for i, s in items]
    },
    "/v1/score": lambda items: {"scores": [[s, None if s is None else 1 - s] for _, s in items]},
    "/v1/inference/model": lambda items: {"scores": [score for _, score in items], "input_tokens": 1},
    "/inference/v1/rerank": lambda items: {"data": [{"index": i, "relevance_score": s} for i, s in items]},
    "/compatible-api/v1/reranks": _results,
    "/rerank": _results,
    "/v1/rerank": _results,
    "tei": _entries,
    "sglang": _entries,
}
"""By path, or by the kind of server where several have one path."""
WITHOUT_INDEX = ("/v1/score", "/v1/inference/model", "/embed", "/api/embed")
