"""Train the embedder's token vectors; checkpoints, resumes.

    python examples/tiny_models/train_embedder.py --work-dir tiny_work --name both --init words

The model is a bag: the sum of token vectors, whose lengths are the tokens' weights. `compile_embedder.py` writes the
same function as Qwen3 layers. Losses: the teacher's similarities (squared error and KL) and in-batch contrast of pairs,
each at several prefixes of the dimensions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from batches import Bag, Data
from compile_embedder import read_table
from torch import nn
from torch.nn import functional as F

# Prefixes of the dimensions and the weight of each in the loss; None is the full length.
CUTS = ((32, 0.5), (64, 1.5), (128, 1.0), (None, 1.5))
TAU = 0.05


class BagEmbedder(nn.Module):
    """Token vectors summed; their lengths weigh the tokens."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, bag: Bag) -> torch.Tensor:
        return F.embedding_bag(bag.ids, self.table, bag.offsets, mode="sum")


def views(a: torch.Tensor, b: torch.Tensor) -> Iterator[tuple[torch.Tensor, float]]:
    """The similarities of a and b at every prefix, with its weight in the loss."""
    total = sum(weight for _, weight in CUTS)
    for cut, weight in CUTS:
        yield F.normalize(a[:, :cut], dim=1) @ F.normalize(b[:, :cut], dim=1).T, weight / total


def lesson_loss(a: torch.Tensor, b: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    target = teacher @ teacher.T
    wanted = F.softmax(target / TAU, dim=1)
    loss = a.new_zeros(())
    for similarity, weight in views(a, b):
        loss = loss + weight * (F.cross_entropy(similarity / TAU, wanted) + 20.0 * F.mse_loss(similarity, target))
    return loss


def pair_loss(a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    same = (rows[:, None] == rows[None]) & ~torch.eye(len(rows), dtype=torch.bool)
    goal = torch.arange(len(rows))
    loss = a.new_zeros(())
    for similarity, weight in views(a, b):
        logits = (similarity / TAU).masked_fill(same, -1e4)
        loss = loss + weight * (F.cross_entropy(logits, goal) + F.cross_entropy(logits.T, goal)) / 2
    return loss


def learning_rate(step: int, steps: int, peak: float) -> float:
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * max(0.02, 1 - step / steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--name", default="bag")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--lesson-weight", type=float, default=1.0, help="0 trains on pairs alone")
    parser.add_argument("--pair-weight", type=float, default=1.0, help="0 trains on the teacher's lessons alone")
    parser.add_argument("--threads", type=int, default=2, help="1 on a machine that others keep busy")
    parser.add_argument("--init", required=True, help="the run to start from; `words` is the first")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = Data(args.work_dir)
    model = BagEmbedder(torch.from_numpy(read_table(args.work_dir, args.init)))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.99))
    path = args.work_dir / f"ckpt/{args.name}.pt"
    start = 0
    if path.exists():
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        start = saved["step"]
    began, seen = time.time(), torch.zeros(2)
    for step in range(start, args.steps):
        rng = np.random.default_rng((args.seed, step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr)
        a, b, teacher = data.lesson_batch(rng, args.batch)
        taught = lesson_loss(model(a), model(b), teacher)
        a, b, rows = data.pair_batch(rng, args.batch)
        paired = pair_loss(model(a), model(b), rows)
        optimizer.zero_grad()
        (args.lesson_weight * taught + args.pair_weight * paired).backward()
        optimizer.step()
        seen = 0.98 * seen + 0.02 * torch.stack([taught.detach(), paired.detach()])
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} lessons {seen[0]:.3f} pairs {seen[1]:.3f} {time.time() - began:.0f} s", flush=True)
        if (step + 1) % 250 == 0:
            data.read_teacher()
        if (step + 1) % 250 == 0 or step + 1 == args.steps:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, path)


if __name__ == "__main__":
    main()
