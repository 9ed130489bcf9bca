"""Start of the training: the teacher's vectors of the English tokens themselves, as a run named `words`.

    python examples/tiny_models/teach_words.py --work-dir tiny_work

Rare words occur in few lessons, but the teacher knows them. So every token that is an English word or a part of one is
embedded alone; the mean is taken out, the principal directions are kept, and frequent tokens are made light. Tokens of
other languages start at zero and learn from translations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import regex
import torch
from corpus import Store
from sources import LANGUAGES
from teach import load_teacher
from tokenizers import Tokenizer

COMMON = 1e-4  # a token with this share of all tokens weighs half as much as a rare one
RARE = 5  # occurrences in half of the English texts below which a token counts as one of another language


def token_shares(work: Path, vocab: int) -> np.ndarray:
    """The share of every token among the tokens of all entries."""
    counts = np.bincount(np.load(work / "entries/ids.npy"), minlength=vocab) + 10
    return counts / counts.sum()


def weights(shares: np.ndarray) -> np.ndarray:
    return COMMON / (COMMON + shares)


def english_tokens(work: Path, tokenizer: Tokenizer) -> list[int]:
    store, vocab = Store.load(work / "entries"), tokenizer.get_vocab_size()
    counts = np.zeros(vocab, np.int64)
    for slot in (0, len(LANGUAGES)):
        for row in np.flatnonzero(store.sizes[:, slot])[::2]:
            np.add.at(counts, store.get(row, slot), 1)
    texts = (tokenizer.decode([index]) for index in range(vocab))
    return [i for i, text in enumerate(texts) if counts[i] >= RARE and regex.fullmatch("[a-z]{2,}", text)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--dim", type=int, default=245)
    args = parser.parse_args()
    torch.set_num_threads(2)
    tokenizer = Tokenizer.from_file(str(args.work_dir / "tokenizer-reranker.json"))
    english = english_tokens(args.work_dir, tokenizer)
    texts = [tokenizer.decode([index]) for index in english]
    vectors = load_teacher().encode(texts, batch_size=256, convert_to_tensor=True).float().numpy()
    vectors -= vectors.mean(0)
    directions = np.linalg.eigh(vectors.T @ vectors)[1][:, ::-1][:, : args.dim]
    shares = token_shares(args.work_dir, tokenizer.get_vocab_size())
    table = np.zeros((len(shares), args.dim), np.float32)
    table[english] = vectors @ directions * weights(shares[english])[:, None]
    torch.save({"model": {"table": torch.from_numpy(table)}}, args.work_dir / "ckpt/words.pt")
    print(f"{len(english)} of {len(shares)} tokens start from the teacher")


if __name__ == "__main__":
    main()
