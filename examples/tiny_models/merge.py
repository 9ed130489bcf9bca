"""The final token vectors: a weighted mean of runs that started alike, with steadier lengths.

    python examples/tiny_models/merge.py --work-dir tiny_work --runs both:0.35 lessons:0.35 words:0.3

The mean keeps what the runs agree on; the start in it (`words`) keeps rare words near what the teacher knows of them. A
token's length, its weight, becomes the geometric mean of the trained one and of one given by its frequency alone;
digits are lifted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from compile_embedder import read_table
from teach_words import token_shares, weights
from tokenizers import Tokenizer

DIGITS = 6.0  # frequent and yet what tells BM25 from BM42, or one error number from another: this much heavier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--runs", nargs="+", required=True, metavar="NAME:WEIGHT")
    parser.add_argument("--name", default="merged", help="the run to write")
    args = parser.parse_args()
    table = np.zeros(1)
    for run in args.runs:
        name, _, weight = run.partition(":")
        table = table + float(weight) * read_table(args.work_dir, name)
    lengths = np.linalg.norm(table, axis=1)
    wanted = np.sqrt(lengths * weights(token_shares(args.work_dir, len(table))))
    table *= np.divide(wanted, lengths, out=np.zeros_like(lengths), where=lengths > 0)[:, None]
    tokenizer = Tokenizer.from_file(str(args.work_dir / "tokenizer-reranker.json"))
    table[[tokenizer.token_to_id(digit) for digit in "0123456789"]] *= DIGITS
    torch.save({"model": {"table": torch.from_numpy(table.astype(np.float32))}}, args.work_dir / f"ckpt/{args.name}.pt")


if __name__ == "__main__":
    main()
