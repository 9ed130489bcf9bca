"""Find how much likeness and coverage count in the reranker's answer, and measure that on collections left out.

    python examples/tiny_models/fit_reranker.py --work-dir tiny_work --embedder tiny_work/export/embedding \\
        --tokenizer tiny_work/tokenizer-reranker.json --out tiny_work/shape.json

Reads `lists.jsonl`. Candidates are the first stage's own 50 best passages. The ranking weights minimise a listwise
cross entropy over all collections; each collection is also ranked with weights fitted on the others. Scale and
offset of the answer do not change a ranking: they are SCALE and MIDDLE. The bundled reranker has the defaults of
`Shape`, where the likeness counts a third more than fitted here.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from circuits import single_ids
from compile_embedder import exported_table
from evaluate import bm25_scores, summed
from formula import Formula
from reranker_parts import DOTS, LINE_END, Shape
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

CANDIDATES, QUERIES = 50, 60
SCALE = 2.0  # the fitted weights, which are for choosing among 50, times this give the answer's log-odds
MIDDLE = 4.0  # sum of weighted features that is answered with one half
SLOPE, ZERO = 0.185, -0.4988  # the model's `shown` is the formula's, and its `alike` is SLOPE * likeness + ZERO


@dataclass(frozen=True)
class Lists:
    """One collection's candidates: scores (queries, 50), features (queries, 50, 2), right or not."""

    name: str
    dense: np.ndarray
    fused: np.ndarray  # dense + BM25
    found: np.ndarray
    right: np.ndarray
    most: np.ndarray  # how many right passages each query has in all


def read(row: dict, embedder: SentenceTransformer, formula: Formula, tokenizer: Tokenizer) -> Lists:
    queries = row["queries"][:QUERIES]
    asked = [query["text"] for query in queries]
    similar = embedder.encode(asked, prompt_name="query") @ embedder.encode(row["passages"]).T
    for index, query in enumerate(queries):
        if query["own"] is not None:
            similar[index, query["own"]] = -1.0  # the passage that the question was copied from
    best = np.argsort(-similar, 1)[:, :CANDIDATES]
    passages, texts = (
        [np.asarray(e.ids) for e in tokenizer.encode_batch(listed, add_special_tokens=False)]
        for listed in (row["passages"], asked)
    )
    found = [formula.features(text, [passages[i] for i in near]) for text, near in zip(texts, best, strict=True)]
    right = [np.isin(near, query["right"]) for near, query in zip(best, queries, strict=True)]
    most = np.array([len(query["right"]) for query in queries])
    dense, counted = (np.take_along_axis(all_of, best, 1) for all_of in (similar, bm25_scores(row["passages"], asked)))
    return Lists(row["name"], dense, summed(dense, counted), np.stack(found), np.stack(right), most)


def fit(lists: list[Lists]) -> np.ndarray:
    """Weights of the features: softmax over each query's candidates against its right ones."""
    kept = [collection.right.any(1) for collection in lists]
    x = torch.from_numpy(np.concatenate([c.found[k] for c, k in zip(lists, kept, strict=True)]))
    y = torch.from_numpy(np.concatenate([c.right[k] for c, k in zip(lists, kept, strict=True)])).double()
    share = torch.from_numpy(np.concatenate([np.full(k.sum(), k.sum() ** -0.5) for k in kept]))
    weights = torch.zeros(x.shape[-1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        rows = (y / y.sum(1, keepdim=True) * torch.log_softmax(x @ weights, 1)).sum(1)
        value = -(rows * share / share.sum()).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().numpy()


def ndcg(collection: Lists, scores: np.ndarray) -> float:
    discount = 1 / np.log2(np.arange(2, 12))
    order = np.argsort(-scores, 1, kind="stable")[:, :10]
    gained = (np.take_along_axis(collection.right, order, 1) * discount).sum(1)
    return float((gained / np.array([discount[:count].sum() for count in collection.most.clip(1, 10)])).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--embedder", type=Path, required=True, help="the exported embedder: the first stage")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of the reranker")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer, shape = Tokenizer.from_file(str(args.tokenizer)), Shape()
    line_end, dots = single_ids(tokenizer, (LINE_END,))[0], tuple(single_ids(tokenizer, DOTS))
    formula = Formula(exported_table(args.embedder), np.load(args.work_dir / "rarity.npy"), line_end, shape, dots)
    embedder = SentenceTransformer(str(args.embedder), device="cpu", model_kwargs={"dtype": torch.float32})
    lists = []
    for line in (args.work_dir / "lists.jsonl").open(encoding="utf-8"):
        lists.append(read(json.loads(line), embedder, formula, tokenizer))
        print(f"read {lists[-1].name}", flush=True)
    print(f"{'nDCG@10, left out of the fit':36} dense  +BM25  reranked  with the bundled weights")
    for held in lists:
        source = held.name.split(",")[0]
        weights = fit([collection for collection in lists if collection.name.split(",")[0] != source])
        bundled = np.array([shape.coverage, SLOPE * shape.likeness])
        ranked = [held.dense, held.fused, held.found @ weights, held.found @ bundled]
        print(f"{held.name:36} " + "  ".join(f"{ndcg(held, scores):5.3f}" for scores in ranked))
    coverage, likeness = SCALE * fit(lists) / (1.0, SLOPE)
    shape = replace(
        shape,
        coverage=float(coverage),
        likeness=float(likeness),
        offset=float(-SCALE * MIDDLE - likeness * ZERO),
    )
    args.out.write_text(json.dumps(asdict(shape), indent=2) + "\n")
    print(f"coverage {coverage:.2f}, likeness {likeness:.2f}, offset {shape.offset:.2f}")


if __name__ == "__main__":
    main()
