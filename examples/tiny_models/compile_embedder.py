"""Write the trained bag as a two-layer Qwen3 model, exactly.

    python examples/tiny_models/compile_embedder.py --work-dir tiny_work --out tiny_work/export/embedding

Layer 1 marks the tokens that follow `Instruct: ...\\nQuery:`: two heads look for the tokens of `Instruct:` and
`Query:` among the earlier tokens, and the MLP takes their AND. A third head looks for an earlier end of a
sentence or line. Layer 2 lets the last token pool the semantic channels with the tokens' weights; the first sentence,
which is the heading where there is one, counts LEAD times; marked tokens, where there are any, outweigh all others, so
the words of the instruction do not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from build_tokenizer import END
from circuits import LEAD, MARKUP, STOPS, Head, Layout, angles, config, empty_model, single_ids
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

HEADS, HEAD_DIM, HIDDEN, MLP = 4, 64, 256, 16
FLAGS = ("cos", "sin", "instruct", "query", "seen", "after", "before", "end", "stop", "first", "later")
REACH = 5.0  # the weights of the heaviest and the lightest token differ by up to e^(2 * REACH)
MARKED = 18.0  # nats by which a token after the marker outweighs one before it
SHARP = 12.0  # gate input of the AND when it holds; the negative of it when it does not


def norm_of(squared_length: float) -> float:
    """RMSNorm multiplies a row of this squared length by this factor."""
    return float(np.sqrt(HIDDEN / squared_length))


def token_rows(table: np.ndarray, layout: Layout, tokenizer: Tokenizer) -> np.ndarray:
    """Embedding rows of one common length, so that RMSNorm scales all tokens alike."""
    lengths = np.linalg.norm(table, axis=1)
    unseen = lengths == 0
    stops = single_ids(tokenizer, STOPS)
    # A stop is never of the first sentence, except after `Query:`, where all counts alike; it weighs little in both.
    lengths[stops] /= 10
    end = tokenizer.token_to_id(END)
    silent = [end, *single_ids(tokenizer, MARKUP)]
    lengths[silent] = lengths.max() * np.exp(-1.9 * REACH)
    cos, sin, _ = angles(np.log(lengths + 1e-9), REACH)
    rows = np.zeros((len(table), layout.hidden))
    rows[:, : layout.width] = table / np.linalg.norm(table, axis=1, keepdims=True).clip(1e-9)
    rows[unseen, 0] = 1.0  # their weight is next to nothing, their rows are as long as all others
    rows[:, layout["cos"]], rows[:, layout["sin"]] = cos, sin
    rows[:, [layout["before"], layout["first"]]] = 1.0
    for name, text in (("instruct", "Instruct: "), ("query", "\nQuery:")):
        marker = tokenizer.encode(text, add_special_tokens=False).ids[-1]
        rows[marker, layout[name]] = 1.0
    rows[stops, layout["stop"]] = 1.0
    # The end token reads and is not read; its own small direction is what an empty text gives.
    rows[end, : layout.width] *= 1e-3
    rows[end, layout["before"]], rows[end, layout["end"]] = 0.0, 1.0
    return rows


def find_before(layer, index: int, layout: Layout, name: str) -> Head:
    """A head that attends to the earlier tokens with this flag, or to all where there is none."""
    head = Head(layer, index, HEAD_DIM)
    head.query(head.slow(0), layout["first"], 1.0)
    head.key(head.slow(0), layout[name], 1.0)
    head.key(head.slow(1), layout["first"], 1.0)
    head.key(head.slow(1), layout[name], -1.0)
    return head


def mark_tokens(model: Qwen3ForCausalLM, layout: Layout) -> None:
    """Layer 1: `after` replaces `before` on tokens that follow both markers, `later` replaces `first` after a stop."""
    layer = model.model.layers[0]
    # Rows have the squared length 4, those with a flag of their own 5, and so have rows where both markers were seen.
    for index, name in enumerate(("instruct", "query")):
        find_before(layer, index, layout, name).write_once(layout[name], layout["seen"], 0, 0.5 / norm_of(5))
    stop = find_before(layer, 2, layout, "stop")
    stop.write_once(layout["stop"], layout["later"], 0, 1 / norm_of(5))
    stop.write(layout["first"], 0, -1 / norm_of(5))
    # q_norm and k_norm give vectors of length sqrt(head_dim): a hit scores 30, anything else 0.
    layer.self_attn.q_norm.weight.data.fill_(30 / np.sqrt(HEAD_DIM))
    mlp = layer.mlp
    # The gate is open where both were seen: 4 * 1 - 3 * 1 times SHARP.
    mlp.gate_proj.weight.data[0, layout["seen"]] = 4 * SHARP / norm_of(5)
    mlp.gate_proj.weight.data[0, layout["before"]] = -3 * SHARP / norm_of(5)
    mlp.gate_proj.weight.data[0, layout["query"]] = -4 * SHARP / norm_of(5)  # the marker itself stays outside
    mlp.up_proj.weight.data[0, layout["before"]] = 1 / norm_of(5)
    mlp.down_proj.weight.data[layout["after"], 0] = 1 / SHARP
    mlp.down_proj.weight.data[layout["before"], 0] = -1 / SHARP


def pool(model: Qwen3ForCausalLM, layout: Layout) -> None:
    """Layer 2: the end token takes the weighted mean of the semantic channels, one slice a head."""
    layer = model.model.layers[1]
    each = -(-layout.width // HEADS)
    weights = {"cos": REACH, "sin": 0.0, "after": MARKED, "before": 0.0, "first": np.log(LEAD), "later": 0.0}
    for index in range(HEADS):
        head = Head(layer, index, HEAD_DIM)
        for rank, (name, weight) in enumerate(weights.items()):
            head.query(head.slow(rank), layout["end"], weight)
            head.key(head.slow(rank), layout[name], 1.0)
        for dim in range(min(each, layout.width - index * each)):
            head.value(dim, index * each + dim, 1.0)
            head.write(index * each + dim, dim, 1.0)
    # Keys have squared length 3; the query's own length is divided out and put back here.
    strength = np.hypot.reduce(list(weights.values())) * np.sqrt(3) / np.sqrt(HEAD_DIM)
    layer.self_attn.q_norm.weight.data.fill_(strength)


def read_table(work: Path, name: str) -> np.ndarray:
    """A run's token vectors, as many dimensions of them as the model has room for."""
    table: np.ndarray = torch.load(work / f"ckpt/{name}.pt")["model"]["table"].numpy()
    return table[:, : HIDDEN - len(FLAGS)]


def exported_table(folder: Path) -> np.ndarray:
    """The token vectors of an exported embedder, each as long as its weight; zero for what it does not know."""
    rows = load_file(folder / "model.safetensors")["embed_tokens.weight"].double().numpy()
    width = HIDDEN - len(FLAGS)
    vectors, cos = rows[:, :width], rows[:, width + FLAGS.index("cos")]
    unknown = (vectors[:, 0] == 1) & (np.abs(vectors[:, 1:]).max(1) == 0)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
    table: np.ndarray = np.where(unknown[:, None], 0.0, unit * np.exp(REACH * cos)[:, None])
    return table


def compile_bag(table: np.ndarray, tokenizer: Tokenizer) -> Qwen3ForCausalLM:
    layout = Layout(table.shape[1], FLAGS, HIDDEN)
    model = empty_model(config(HIDDEN, 2, MLP, HEADS, HEAD_DIM, len(table)))
    model.model.embed_tokens.weight.data.copy_(torch.from_numpy(token_rows(table, layout, tokenizer)))
    mark_tokens(model, layout)
    pool(model, layout)
    model.model.norm.weight.data[layout.width :] = 0.0
    return model


def main() -> None:
    from export import write_embedder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--name", default="merged", help="the run whose token vectors are taken")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer_file = args.work_dir / "tokenizer-embedding.json"
    table = read_table(args.work_dir, args.name)
    write_embedder(compile_bag(table, Tokenizer.from_file(str(tokenizer_file))), tokenizer_file, args.out)


if __name__ == "__main__":
    main()
