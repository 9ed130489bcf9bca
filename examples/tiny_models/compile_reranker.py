"""Write a reranker as a four-layer Qwen3 causal LM that answers yes or no after the official prompt.

    python examples/tiny_models/compile_reranker.py --embedder tiny_work/export/embedding \\
        --tokenizer tiny_work/tokenizer-reranker.json --rarity tiny_work/rarity.npy --out tiny_work/export/reranker

The token vectors are the embedder's, turned so that the first dimensions hold most of them. The layers:

1. flags: every token learns whether it stands in the query or in the document, and which word stands before it;
2. match: a document token looks for its like among the query's tokens (the likeness of vectors decides; how little is
   left for the sink tells how often the query says this very word), for one that also follows the same word, which
   counts `pair` times, and for likes among the document's earlier tokens; another head tells the first line, which
   counts `lead` times, and its first sentence from the rest. The MLP makes one logarithm of match, novelty and number:
   as in BM25, a word that comes again counts less;
3. pool: the last token adds up the rarity of what is matched against the rarity of the whole query (how much of it is
   covered) and pools the document's vector; `<think>` pools the query's; the MLP makes the coverage less for a longer
   document;
4. compare: the last token divides its attention between `<think>` and `</think>` by the likeness of the two vectors.

The answer is a linear reading of coverage and likeness, by the numbers of `Shape`; `fit_reranker.py` fits others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from circuits import Layout, config, empty_model
from compile_embedder import exported_table
from reranker_layers import compare, find_matches, pool, raise_flags, shorten, weigh_matches
from reranker_parts import (
    CONTENT,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    MLP,
    NAMES,
    ROPE_THETA,
    SPEAK,
    Shape,
    code_directions,
    rotation,
    rounded,
    token_rows,
)
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM


def read_answer(model: Qwen3ForCausalLM, layout: Layout, tokenizer: Tokenizer, shape: Shape) -> None:
    """The final norm keeps the two features and the constant; the rows of yes and no read them with opposite signs."""
    norm = model.model.norm.weight.data
    norm.fill_(0.0)
    per_unit = np.sqrt(HIDDEN) / 100  # the last token's row is as long as its one large channel
    norm[layout["shown"]] = shape.coverage / per_unit / (2 * SPEAK)
    norm[layout["alike"]] = shape.likeness / per_unit / (2 * SPEAK)
    # The offset makes up for an `alike` of about -1/2, so it takes two factors to be as exact as that is.
    offset = shape.offset / per_unit / 2
    factors = [SPEAK * (1 + step / 128) for step in range(128)]
    speak = min(factors, key=lambda factor: abs(rounded(factor) * rounded(offset / factor) - offset))
    norm[layout["bias"]] = offset / speak
    rows = model.model.embed_tokens.weight.data
    for token, sign in (("yes", 1), ("no", -1)):
        for name, value in (("shown", SPEAK), ("alike", SPEAK), ("blank", SPEAK), ("bias", speak)):
            rows[tokenizer.token_to_id(token), layout[name]] = sign * value


def compile_reranker(table: np.ndarray, rarity: np.ndarray, tokenizer: Tokenizer, shape: Shape) -> Qwen3ForCausalLM:
    """`table`: a vector for each token, its length the token's weight; `rarity`: an inverse document frequency each."""
    layout = Layout(len(CONTENT), NAMES, HIDDEN)
    settings = config(HIDDEN, 4, MLP, HEADS, HEAD_DIM, len(table))
    settings.num_key_value_heads = 1
    settings.rope_parameters["rope_theta"] = ROPE_THETA
    model = empty_model(settings)
    turn = rotation(table)[:, : layout.width]
    rows = token_rows(table, rarity.copy(), turn, layout, tokenizer)
    model.model.embed_tokens.weight.data.copy_(torch.from_numpy(rows))
    words = rows[:, : layout.width]
    raise_flags(model, layout, shape, code_directions(words, rarity), float(rarity.max()))
    find_matches(model, layout, shape)
    weigh_matches(model, layout, shape)
    pool(model, layout, shape, float(rarity.max()))
    shorten(model, layout, shape)
    compare(model, layout, shape)
    read_answer(model, layout, tokenizer, shape)
    return model


def main() -> None:
    from export import write_reranker

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", type=Path, required=True, help="the exported embedder, whose vectors are taken")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json of the reranker")
    parser.add_argument("--rarity", type=Path, required=True, help="written by rarity.py")
    parser.add_argument("--shape", type=Path, help="JSON written by fit_reranker.py")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    shape = Shape(**json.loads(args.shape.read_text())) if args.shape else Shape()
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    model = compile_reranker(exported_table(args.embedder), np.load(args.rarity), tokenizer, shape)
    write_reranker(model, args.tokenizer, args.out)


if __name__ == "__main__":
    main()
