"""How rare each token is: an inverse document frequency from the training texts, in whichever language it is commonest.

    python examples/tiny_models/rarity.py --work-dir tiny_work

A document is a window of 150 tokens of one source in one language. Sources count by the root of their size, so that no
single one decides what is common; a token is as common as in the language that uses it most, so that words which carry
no meaning weigh little in every language. Tokens without a letter or digit have the rarity 0.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

WINDOW, FEWEST = 150, 150  # tokens a window; windows that a source needs to be counted
FOREIGN = 0.7  # texts in other languages are few and of few kinds, so their frequencies are trusted less
UNSEEN = 2e-4


def windows(entries: Path, tokenizer: Tokenizer) -> tuple[dict, dict]:
    """For each (source, language): in how many windows each token stands, and how many windows there are."""
    size = tokenizer.get_vocab_size()
    found: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(size))
    counts: dict[tuple[str, str], int] = defaultdict(int)
    waiting: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in entries.open(encoding="utf-8"):
        entry = json.loads(line)
        texts = list(entry["x"].values())
        for lang, encoding in zip(
            entry["x"], tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True
        ):
            key = entry["s"], lang
            waiting[key].extend(encoding.ids)
            while len(waiting[key]) >= WINDOW:
                found[key][np.unique(waiting[key][:WINDOW])] += 1
                counts[key] += 1
                del waiting[key][:WINDOW]
    return found, counts


def commonness(found: dict, counts: dict) -> np.ndarray:
    """Share of windows with each token, in the language where it is highest."""
    highest = np.zeros(len(next(iter(found.values()))))
    for lang in {lang for _, lang in counts}:
        keys = [key for key in counts if key[1] == lang and counts[key] > FEWEST]
        if keys:
            weights = np.sqrt([counts[key] for key in keys])
            share = sum(w * found[key] / counts[key] for key, w in zip(keys, weights, strict=True)) / weights.sum()
            highest = np.maximum(highest, share if lang == "en" else FOREIGN * share)
    return highest.clip(0, 0.999)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.work_dir / "tokenizer-reranker.json"))
    share = commonness(*windows(args.work_dir / "entries.jsonl", tokenizer))
    rarity = np.log(1 + (1 - share) / (share + UNSEEN))
    rarity[[not re.search(r"\w", tokenizer.decode([token])) for token in range(len(rarity))]] = 0.0
    np.save(args.work_dir / "rarity.npy", rarity)
    for token in np.argsort(rarity[rarity > 0])[:: len(rarity) // 8]:
        print(f"{rarity[token]:6.2f} {tokenizer.decode([int(token)])}")


if __name__ == "__main__":
    main()
