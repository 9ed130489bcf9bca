"""Features of the compiled reranker for query-document pairs, and the answer's weights fitted to held-out pairs.

    python examples/tiny_models/fit_reranker.py --work-dir tiny_work --name merged --out tiny_work/shape.json

Positives are held-out titles (half of them asked as questions) with their texts, negatives the nearest other texts by
the bag's cosine and texts drawn at random. The ratio of likeness to coverage is set by hand (RATIO); a logistic
regression on their sum gives the scale and the offset, so that the answer can be read as a probability.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from batches import Data, N
from circuits import Layout
from compile_embedder import read_table
from compile_reranker import CONTENT, HIDDEN, NAMES, Shape, compile_reranker, rotation
from corpus import HELD_OUT
from export import SYSTEM, TASK
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

PREFIX = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<Instruct>: {TASK}\n<Query>: "
RATIO = 4.0  # a free fit gives less on these pairs, whose negatives are often near-duplicates; reranking prefers more
SHARPEN = 2.0  # these pairs are harder than a search's: most of them stay unsure at the fitted scale
MIDDLE, SUFFIX = "\n<Document>: ", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@torch.inference_mode()
def features(model: Qwen3ForCausalLM, rows: list[list[int]], budget: int = 6000) -> np.ndarray:
    """(pairs, 2): coverage and likeness at the last position, before the final norm."""
    layout = Layout(len(CONTENT), NAMES, HIDDEN)
    out = np.zeros((len(rows), 2))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    caught: list[torch.Tensor] = []
    hook = model.model.norm.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    while order:
        longest = len(rows[order[-1]])
        batch = [order.pop() for _ in range(min(len(order), max(1, budget // longest)))]
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        for i, row in enumerate(batch):
            ids[i, : len(rows[row])] = torch.tensor(rows[row])
        model.model(ids)
        last = torch.tensor([len(rows[row]) - 1 for row in batch])
        state = caught.pop()[torch.arange(len(batch)), last]
        out[batch] = state[:, [layout["covered"], layout["alike"]]].float().numpy()
    hook.remove()
    return out


def held_out_pairs(data: Data, table: np.ndarray, tokenizer: Tokenizer, count: int, negatives: int):
    """Token rows of prompts, and 1 for the positive of each group of `1 + negatives`."""
    rng = np.random.default_rng(21)
    sizes = data.entries.sizes
    usable = np.flatnonzero((sizes[:, :N] > 0).any(1) & (sizes[:, N] > 12) & (np.arange(len(sizes)) % HELD_OUT == 0))
    names = np.array(data.source_names)[data.source[usable]]
    usable = usable[~np.isin(names, ["wordnet", "gcide", "vera"]) | (rng.random(len(usable)) < 0.1)]
    chosen = rng.choice(usable, min(len(usable), 4000), replace=False)
    texts = [data.entries.get(row, N) for row in chosen]
    vectors = np.stack([table[text].sum(0) for text in texts])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [tokenizer.encode(part).ids for part in (PREFIX, MIDDLE, SUFFIX)]
    rows, labels = [], []
    for index in range(min(count, len(chosen))):
        slot = data._language(rng, data.entries, chosen[index], 0, 0.6)
        query = data.entries.get(chosen[index], slot)
        query = data.question(rng, query, slot) if rng.random() < 0.5 else query
        vector = table[query].sum(0)
        near = [i for i in np.argsort(-(vectors @ vector))[1 : negatives + 1] if i != index][: negatives // 2]
        near += [int(i) for i in rng.integers(0, len(chosen), negatives - len(near)) if i != index]
        for label, other in [(1, index), *((0, i) for i in near)]:
            rows.append([*ids[0], *query.tolist(), *ids[1], *texts[other][:300].tolist(), *ids[2]])
            labels.append(label)
    return rows, np.array(labels)


def logistic(x: np.ndarray, y: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """Weights of the columns and the offset, by Newton steps; both classes weigh the same."""
    full = np.c_[x, np.ones(len(x))]
    weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    w = np.zeros(full.shape[1])
    for _ in range(40):
        p = 1 / (1 + np.exp(-full @ w))
        hessian = (full * (weight * p * (1 - p))[:, None]).T @ full + ridge * np.eye(len(w))
        w -= np.linalg.solve(hessian, full.T @ (weight * (p - y)) + ridge * w)
    return w


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--name", default="merged", help="the run whose token vectors are taken")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(str(args.work_dir / "tokenizer-reranker.json"))
    table = read_table(args.work_dir, args.name)
    shape = Shape()
    model = compile_reranker(table, rotation(table, table), tokenizer, shape)
    rows, labels = held_out_pairs(Data(args.work_dir), table, tokenizer, args.pairs, 6)
    found = features(model, rows)
    coverage, offset = logistic(found @ np.array([[1.0], [RATIO]]), labels)
    coverage, offset = SHARPEN * coverage, SHARPEN * offset
    likeness = RATIO * coverage
    shape = replace(shape, coverage=float(coverage), likeness=float(likeness), offset=float(offset))
    args.out.write_text(json.dumps(asdict(shape), indent=2) + "\n")
    answer = 1 / (1 + np.exp(-found @ np.array([coverage, likeness]) - offset))
    print(f"fitted {coverage:.2f} {likeness:.2f} {offset:.2f}")
    for label, name in ((1, "right"), (0, "wrong")):
        print(name, np.quantile(answer[labels == label], [0.1, 0.5, 0.9]).round(3))


if __name__ == "__main__":
    main()
