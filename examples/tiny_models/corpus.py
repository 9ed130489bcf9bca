"""Token ids of all entries and lessons in flat arrays that training memory-maps.

python examples/tiny_models/corpus.py --work-dir tiny_work
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sources import LANGUAGES
from tokenizers import Tokenizer

PARTS = ("t", "x")
HELD_OUT = 50  # every 50th entry is never trained on


@dataclass(frozen=True)
class Store:
    """Texts by (row, slot): slot = part * languages + language for entries, language for lessons."""

    ids: np.ndarray  # (tokens,) uint16
    starts: np.ndarray  # (rows, slots) int64, -1 where there is no such text
    sizes: np.ndarray  # (rows, slots) int32

    @classmethod
    def load(cls, path: Path) -> Store:
        return cls(*(np.load(path / f"{name}.npy", mmap_mode="r") for name in ("ids", "starts", "sizes")))

    def get(self, row: int, slot: int) -> np.ndarray:
        start = self.starts[row, slot]
        return self.ids[start : start + self.sizes[row, slot]]


def build(path: Path, tokenizer: Tokenizer, rows: list[dict[int, str]], slots: int) -> None:
    starts = np.full((len(rows), slots), -1, np.int64)
    sizes = np.zeros((len(rows), slots), np.int32)
    pieces, total = [], 0
    where = [(row, slot) for row, texts in enumerate(rows) for slot in texts]
    for begin in range(0, len(where), 20_000):
        chunk = where[begin : begin + 20_000]
        encoded = tokenizer.encode_batch_fast([rows[row][slot] for row, slot in chunk], add_special_tokens=False)
        for (row, slot), encoding in zip(chunk, encoded, strict=True):
            ids = np.asarray(encoding.ids, np.uint16)
            if len(ids):
                starts[row, slot], sizes[row, slot] = total, len(ids)
                pieces.append(ids)
                total += len(ids)
    path.mkdir(exist_ok=True)
    np.save(path / "ids.npy", np.concatenate(pieces))
    np.save(path / "starts.npy", starts)
    np.save(path / "sizes.npy", sizes)
    print(f"{path.name}: {len(rows)} rows, {total} tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    args = parser.parse_args()
    work = args.work_dir
    tokenizer = Tokenizer.from_file(str(work / "tokenizer-reranker.json"))
    count = len(LANGUAGES)
    rows, sources = [], []
    for line in (work / "entries.jsonl").open(encoding="utf-8"):
        entry = json.loads(line)
        sources.append(entry["s"])
        rows.append(
            {
                p * count + LANGUAGES.index(lang): text
                for p, part in enumerate(PARTS)
                for lang, text in entry[part].items()
            }
        )
    build(work / "entries", tokenizer, rows, 2 * count)
    names = sorted(set(sources))
    np.save(work / "entries/source.npy", np.asarray([names.index(s) for s in sources], np.int16))
    (work / "entries/sources.json").write_text(json.dumps(names))
    taught = [json.loads(line) for line in (work / "lessons.jsonl").open(encoding="utf-8")]
    build(work / "lessons", tokenizer, [{LANGUAGES.index(k): v for k, v in row.items()} for row in taught], count)


if __name__ == "__main__":
    main()
