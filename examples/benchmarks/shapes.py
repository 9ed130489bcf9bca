"""Random-weight checkpoints of the published shapes: speed depends on the shape, not on what a model has learnt.

    python examples/benchmarks/shapes.py --shape 0.6B            # prints the two folders
    python examples/benchmarks/shapes.py --shape 0.6B --tokenizers DIR --checkpoints DIR

Each is what the hub's repository holds (bf16 safetensors, tokenizer, sentence-transformers files or chat template), so
that every library loads it its own way. A checkpoint that is already there is reused.
"""

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

CACHE = Path.home() / ".cache" / "llama-index-qwen3-benchmarks"
ROOT = Path(__file__).resolve().parents[2]
REAL_TOKENIZERS = ROOT.parent / "shared" / "models"
KINDS = ("embedding", "reranker")
TASK = "Given a web search query, retrieve relevant passages that answer the query"


@dataclass(frozen=True)
class Shape:
    """What the cost of a forward depends on."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int = 128
    tied: bool = True
    vocabulary: int = 151669

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """(in, out) of one layer's matrix products, as separate weights."""
        width, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q": (self.hidden, width),
            "k": (self.hidden, narrow),
            "v": (self.hidden, narrow),
            "o": (width, self.hidden),
            "gate": (self.hidden, self.intermediate),
            "up": (self.hidden, self.intermediate),
            "down": (self.intermediate, self.hidden),
        }


SHAPES = {
    "0.6B": Shape(28, 1024, 3072, 16, 8),
    "0.6B-2": Shape(2, 1024, 3072, 16, 8),  # two of its layers, for trying the scripts out with every peer
    "4B": Shape(36, 2560, 9728, 32, 8),
    "8B": Shape(36, 4096, 12288, 32, 8, tied=False),
    "small": Shape(2, 128, 384, 4, 2, head_dim=64),  # the official vocabulary, and heads that servers compute
    "tiny": Shape(2, 64, 192, 4, 2, head_dim=16, vocabulary=2048),  # for trying the scripts out
}


def make_checkpoint(
    kind: str, shape: str = "0.6B", root: Path | None = None, tokenizers: Path | None = None, seed: int = 0
) -> Path:
    """The folder of a `kind` ("embedding" or "reranker") checkpoint of `shape` below `root`, made when not there.

    `tokenizers` holds `qwen3-embedding-tokenizer` and `qwen3-reranker-tokenizer`; None takes those of `../shared` when
    there, and for "tiny" and elsewhere a small byte-level tokenizer made on the spot.
    """
    if kind not in KINDS or shape not in SHAPES:
        raise ValueError(f"{kind!r} of {shape!r}: kinds are {', '.join(KINDS)}, shapes {', '.join(SHAPES)}")
    if tokenizers is None and shape != "tiny" and REAL_TOKENIZERS.is_dir():
        tokenizers = REAL_TOKENIZERS
    source = None if tokenizers is None else tokenizers / f"qwen3-{kind}-tokenizer"
    if source is not None and not (source / "tokenizer.json").is_file():
        raise FileNotFoundError(f"{source / 'tokenizer.json'}: --tokenizers needs a folder qwen3-{kind}-tokenizer")
    name = f"{kind}-{shape}-{'real' if source else 'bytes'}-tokenizer-seed-{seed}"
    folder = (root or CACHE) / name
    if not (folder / "config.json").is_file():
        unfinished = folder.with_name(f"{name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _write_tokenizer(unfinished, kind, source)
        _write_weights(unfinished, kind, SHAPES[shape], seed)
        _write_library_files(unfinished, kind, SHAPES[shape])
        unfinished.replace(folder)  # whole or not at all: an interrupted run leaves nothing to reuse
    return folder


def _write_weights(folder: Path, kind: str, shape: Shape, seed: int) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=32768 if kind == "embedding" else 40960,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        dtype="bfloat16",
    )
    model_class = Qwen3Model if kind == "embedding" else Qwen3ForCausalLM
    config.architectures = [model_class.__name__]
    with torch.device("meta"):  # names and shapes only: the weights are drawn once, in bf16
        model = model_class(config)
    generator = torch.Generator().manual_seed(seed + KINDS.index(kind))
    weights = {}
    for name, parameter in model.named_parameters():
        weight = torch.empty(parameter.shape, dtype=torch.bfloat16)
        if "norm" in name:
            weights[name] = weight.uniform_(0.5, 1.5, generator=generator)
        else:  # wide enough that vectors and logits of different texts differ
            weights[name] = weight.normal_(0.0, 0.04, generator=generator)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)


def _write_tokenizer(folder: Path, kind: str, source: Path | None) -> None:
    if source is not None:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(source / name, folder / name)
        return
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    knowledge = sorted((ROOT / "pipelines" / "qwen3_rag" / "knowledge").glob("*.md"))
    words = "yes\nno\n" * 20 + f"system user assistant Judge whether {TASK} <Instruct>: <Query>: <Document>:\n" * 3
    tokenizer.train_from_iterator([words, *(path.read_text(encoding="utf-8") for path in knowledge)], trainer)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<think>", "</think>"])
    if kind == "embedding":
        end = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A <|endoftext|>", pair="$A $B <|endoftext|>", special_tokens=[end]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>", model_max_length=131072
    )
    fast.save_pretrained(folder)


CHAT_TEMPLATE = """\
{%- set ns = namespace(instruct="TASK", query="", document="") -%}
{%- for message in messages -%}
{%- if message.role == "system" -%}{%- set ns.instruct = message.content -%}
{%- elif message.role == "query" -%}{%- set ns.query = message.content -%}
{%- elif message.role == "document" -%}{%- set ns.document = message.content -%}
{%- endif -%}
{%- endfor -%}
{{- '<|im_start|>system\\nJudge whether the Document meets the requirements based on the Query and the Instruct \
provided. Note that the answer can only be "yes" or "no".<|im_end|>\\n<|im_start|>user\\n' -}}
{{- '<Instruct>: ' + ns.instruct + '\\n<Query>: ' + ns.query + '\\n<Document>: ' + ns.document -}}
{{- '<|im_end|>\\n<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' -}}
""".replace("TASK", TASK)


def _write_library_files(folder: Path, kind: str, shape: Shape) -> None:
    """What sentence-transformers reads beside the weights, as the published repositories have it."""
    if kind == "reranker":
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
        return
    modules = ["Transformer", "Pooling", "Normalize"]
    files = {
        "modules.json": [
            {
                "idx": i,
                "name": str(i),
                "path": f"{i}_{name}" if i else "",
                "type": f"sentence_transformers.models.{name}",
            }
            for i, name in enumerate(modules)
        ],
        "config_sentence_transformers.json": {
            "prompts": {"query": f"Instruct: {TASK}\nQuery:", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": False,
            "pooling_mode_lasttoken": True,
            "include_prompt": True,
        },
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark that runs on such a pair."""
    parser.add_argument("--shape", choices=list(SHAPES), default="0.6B")
    parser.add_argument("--checkpoints", type=Path, help=f"folder to make and keep them in (default {CACHE})")
    parser.add_argument("--tokenizers", type=Path, help="folder of the two tokenizer folders (default: ../shared)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    options = parser.parse_args()
    for each in KINDS:
        print(make_checkpoint(each, options.shape, options.checkpoints, options.tokenizers))
