"""The authors' way of computing vectors and scores, with padding and full logits, to hold our engines against."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

TASK = "Given a web search query, retrieve relevant passages that answer the query"


# Loading takes several times as long as computing, and a checkpoint that was made is never changed: each is read once.
@lru_cache(maxsize=32)
def tokenizer_of(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder, padding_side="left")


@lru_cache(maxsize=32)
def _model(auto_class: Any, folder: Path) -> Any:
    return auto_class.from_pretrained(folder, dtype=torch.float32).eval()


def embed(folder: Path, texts: Sequence[str], max_length: int = 8192) -> npt.NDArray[np.float32]:
    """Left padding, attention mask, last position, L2 norm; texts are templated already."""
    tokenizer, model = tokenizer_of(folder), _model(AutoModel, folder)
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        hidden = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state[:, -1]
    return torch.nn.functional.normalize(hidden, dim=-1).numpy()


def embed_queries(folder: Path, queries: Sequence[str], task: str = TASK) -> npt.NDArray[np.float32]:
    return embed(folder, [f"Instruct: {task}\nQuery:{query}" for query in queries])


def score(
    folder: Path, query: str, documents: Sequence[str], task: str = TASK, max_length: int = 8192
) -> npt.NDArray[np.float64]:
    """softmax over the (no, yes) logits of the last position, after the prompt of the model card."""
    tokenizer, model = tokenizer_of(folder), _model(AutoModelForCausalLM, folder)
    prefix = tokenizer.encode(
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
        'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
        add_special_tokens=False,
    )
    suffix = tokenizer.encode("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", add_special_tokens=False)
    pairs = [f"<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}" for document in documents]
    ids = tokenizer(pairs, truncation=True, max_length=max_length - len(prefix) - len(suffix), add_special_tokens=False)
    rows = [prefix + row + suffix for row in ids["input_ids"]]
    batch = tokenizer.pad({"input_ids": rows}, padding=True, return_tensors="pt")
    with torch.no_grad():
        # Of the head, only the last position is read; all of them would be gigabytes with an official tokenizer.
        output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], logits_to_keep=1)
        logits = output.logits[:, -1].double()
    yes, no = tokenizer.convert_tokens_to_ids("yes"), tokenizer.convert_tokens_to_ids("no")
    return torch.softmax(torch.stack((logits[:, no], logits[:, yes]), dim=1), dim=1)[:, 1].numpy()
