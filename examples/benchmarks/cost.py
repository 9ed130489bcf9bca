"""What a job costs at least: useful tokens, useful FLOPs, and the rate at which this machine multiplies matrices.

Useful tokens are those that any exact method must put through the model: the passages with what follows them in the
prompt, and the query once. Not counted: padding, a query computed again for each passage, and the constant opening of
the prompt (system text, instruction), which is the same for all calls. The same count is used for every method.

Useful FLOPs are the multiply-adds (2 each) of the linear layers for those tokens; of the last layer only what one
position per sequence needs (all keys and values, the rest once per sequence). Attention, norms, activations and heads
are not counted, so even a perfect engine stays below 100 % of the ceiling.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from prompts import OPENING, document_prompt, query_prompt
from shapes import Shape
from texts import Job


@dataclass(frozen=True)
class Cost:
    tokens: int
    flops: float


def cost_of(job: Job, kind: str, shape: Shape, folder: Path) -> Cost:
    """Useful tokens and FLOPs of a job; `folder` has the tokenizer."""
    if kind == "embedding":
        texts = list(job.texts) if job.texts else [query_prompt(job.query)]
        opening = 0 if job.texts else _count(folder, query_prompt("")) - 1  # all but the end token
        tokens = sum(_count(folder, text) for text in texts) - opening
        return Cost(tokens, _flops(shape, tokens, len(texts)))
    shared = _count(folder, OPENING + f" {job.query}\n<Document>:")
    own = sum(_count(folder, document_prompt(job.query, text)) - shared for text in job.texts)
    tokens = own + shared - _count(folder, OPENING)
    return Cost(tokens, _flops(shape, tokens, len(job.texts)))


def _flops(shape: Shape, tokens: int, sequences: int) -> float:
    sizes = {name: rows * columns for name, (rows, columns) in shape.linears.items()}
    every_position = sizes["k"] + sizes["v"]
    once = sum(sizes.values()) - every_position
    full = (shape.layers - 1) * tokens * sum(sizes.values())
    return 2.0 * (full + tokens * every_position + sequences * once)


def _count(folder: Path, text: str) -> int:
    return len(_tokenizer(folder).encode(text).ids)


@cache
def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def gemm_ceiling(shape: Shape, rows: Sequence[int], device: str, dtype: str = "bfloat16") -> dict[int, float]:
    """FLOP/s of one layer's `F.linear` calls at each number of rows: the best of several tries.

    Measured with separate weights and with q, k, v and gate, up fused; the better counts. Four copies of the weights
    take turns, as the layers of a model do, so that they come from memory and not from a cache.
    """
    import torch

    separate = list(shape.linears.values())
    q, k, v, o, gate, up, down = separate
    fused = [(q[0], q[1] + k[1] + v[1]), o, (gate[0], gate[1] + up[1]), down]
    best: dict[int, float] = {}
    with torch.inference_mode():
        for linears in (separate, fused):
            copies = [
                [torch.randn(outs, ins, device=device, dtype=getattr(torch, dtype)) for ins, outs in linears]
                for _ in range(4)
            ]
            flops = 2.0 * sum(ins * outs for ins, outs in linears)
            for count in rows:
                inputs = {
                    ins: torch.randn(count, ins, device=device, dtype=getattr(torch, dtype)) for ins, _ in linears
                }
                seconds = min(_seconds_of_a_layer(inputs, weights, device) for _ in range(2) for weights in copies)
                best[count] = max(best.get(count, 0.0), flops * count / seconds)
    return best


def _seconds_of_a_layer(inputs: dict[int, Any], weights: list[Any], device: str) -> float:
    import torch

    synchronise(device)
    start = time.perf_counter()
    for weight in weights:
        torch.nn.functional.linear(inputs[weight.shape[1]], weight)
    synchronise(device)
    return time.perf_counter() - start


def synchronise(device: str) -> None:
    """Wait for a GPU's queue: without it the clock is read while work is still waiting."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
