"""What faulty model servers compute, by transformers: nothing here comes from the code that has to find the faults."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM

from support.model_answers import PROMPT, probability
from support.reference import TASK, _model, tokenizer_of

REWRITES: dict[str, Callable[[str], str]] = {
    "newline to blank": lambda text: text.replace("\n", " "),
    "newlines removed": lambda text: text.replace("\n", ""),
    "stripped": str.strip,
    "collapsed": lambda text: " ".join(text.split()),
    "lower case": str.lower,
    "prompt before all": lambda text: f"Instruct: {TASK}\nQuery:{text}",
}
CUT = 12
WITHOUT_THINKING = PROMPT.replace("<think>\n\n</think>\n\n", "")
TEMPLATES = {
    "sglang": WITHOUT_THINKING.replace("{task}", "{task}."),
    "no think block": WITHOUT_THINKING,
    "one newline": PROMPT.removesuffix("\n"),
    "full stop": PROMPT.replace("{task}", "{task}."),
    "no system turn": PROMPT[PROMPT.index("<|im_start|>user") :],
    "no instruction": PROMPT.replace("<Instruct>: {task}\n", ""),
    "no end": PROMPT[: PROMPT.index("<|im_end|>\n<|im_start|>assistant")],
    "token behind": PROMPT + "<|endoftext|>",
    "roles unknown": PROMPT.replace("{query}", "").replace("{document}", ""),
    "document unseen": PROMPT.replace("{document}", ""),
    "exchanged": PROMPT.replace("{query}", "{0}").replace("{document}", "{query}").replace("{0}", "{document}"),
    "missing": "{query}{document}",
    "missing, with a newline": "{query}\n{document}",
    "twice": PROMPT.replace("{query}", "{asked}").replace("{document}", "{told}"),
}
SCORES: dict[str, Callable[[float], float]] = {
    "swapped": lambda p: 1 - p,
    "logits": lambda p: float(np.log(p / (1 - p))),
    "sigmoid twice": lambda p: float(1 / (1 + np.exp(-p))),
    "no head": lambda p: 1e-20 * p,
    "constant": lambda _: 0.3,
}


def embedded_ids(folder: Path, text: str, wrong: str) -> list[int]:
    """The ids of a text on a server with a fault."""
    tokenizer = tokenizer_of(folder)
    ids = list(tokenizer(REWRITES.get(wrong, str)(text))["input_ids"])
    end, turn = (tokenizer.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|im_end|>"))
    changed = {"no end": ids[:-1], "turn end": [*ids[:-1], turn], "end twice": [*ids, end], "start": [end, *ids]}
    return changed.get(wrong, ids)


@cache
def model_in(auto_class: Any, folder: Path, dtype: torch.dtype) -> Any:
    return auto_class.from_pretrained(folder, dtype=dtype).eval()


def padded_states(
    auto_class: Any, folder: Path, sequences: Sequence[Sequence[int]], dtype: torch.dtype
) -> torch.Tensor:
    """What a model gives at the last position of each sequence, all in one padded batch: hidden states or logits."""
    width = max(map(len, sequences))
    ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in sequences])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in sequences])
    # Of the head, only the last position is read.
    last = {"logits_to_keep": 1} if auto_class is AutoModelForCausalLM else {}
    with torch.no_grad():
        output = model_in(auto_class, folder, dtype)(input_ids=ids, attention_mask=mask, **last)
    states = output.logits if hasattr(output, "logits") else output.last_hidden_state
    return states[:, -1].float()


def padded_vectors(folder: Path, sequences: Sequence[Sequence[int]], dtype: torch.dtype) -> list[np.ndarray]:
    """A right server's vectors."""
    states = padded_states(AutoModel, folder, sequences, dtype)
    return list(torch.nn.functional.normalize(states, dim=-1).numpy())


def padded_scores(folder: Path, sequences: Sequence[Sequence[int]], dtype: torch.dtype) -> list[float]:
    """A right server's probabilities."""
    tokenizer = tokenizer_of(folder)
    yes, no = tokenizer.convert_tokens_to_ids("yes"), tokenizer.convert_tokens_to_ids("no")
    logits = padded_states(AutoModelForCausalLM, folder, sequences, dtype).double()
    return torch.sigmoid(logits[:, yes] - logits[:, no]).tolist()


def pooled(folder: Path, ids: list[int], wrong: str) -> np.ndarray:
    """The vector of ids on a server with a fault."""
    if wrong == "cut":
        ids = [*ids[: CUT - 1], ids[-1]] if len(ids) > CUT else ids
    if wrong == "cut without an end":
        ids = ids[:CUT]
    with torch.no_grad():
        hidden = _model(AutoModel, folder)(input_ids=torch.tensor([ids])).last_hidden_state[0]
    vector = {"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.amax(0)}.get(wrong, hidden[-1])
    if wrong != "not normalised":
        vector = torch.nn.functional.normalize(vector, dim=-1)
    return vector.numpy()


def prompt_ids(folder: Path, query: str, document: str, task: str, wrong: str) -> list[int]:
    """What a server that writes the prompt makes of a pair, with a fault."""
    asked = PROMPT[: PROMPT.index("<Document>:")].format(task=task, query=query)
    told = PROMPT[PROMPT.index("<Document>:") :].format(document=document)
    document = document[:200] if wrong == "cut" else document
    text = TEMPLATES.get(wrong, PROMPT).format(task=task, query=query, document=document, asked=asked, told=told)
    return list(tokenizer_of(folder)(text)["input_ids"])


def by_ids(folder: Path, ids: Any, wrong: str) -> float:
    return SCORES.get(wrong, float)(probability(folder, tuple(ids)))
