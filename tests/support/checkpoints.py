"""Random-weight Qwen3 checkpoints of any shape, with a small tokenizer of the real kind: real software, tiny."""

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, Qwen3Model

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NOT_SPECIAL = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
TEXT = [
    "yes no yes no Judge whether the Document meets the requirements based on the Query and the Instruct provided.",
    'Note that the answer can only be "yes" or "no". system user assistant <Instruct>: <Query>: <Document>: Query:',
    "Given a web search query, retrieve relevant passages that answer the query. Instruct: think tool_call",
    "The quick brown fox jumps over the lazy dog. Milvus stores vectors; 日本語 中文 한국어 русский ελληνικά café.",
] * 4


@dataclass(frozen=True)
class Shape:
    """What differs between the published models, in small."""

    name: str
    layers: int = 2
    hidden: int = 32
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    tied: bool = True
    sentence_transformers_files: bool = True


SHAPES = [
    Shape("tied-groups-of-2"),
    Shape("untied-groups-of-1", kv_heads=4, tied=False, sentence_transformers_files=False),
    Shape("tied-groups-of-8", layers=3, hidden=48, heads=8, kv_heads=1, head_dim=8),
    Shape("untied-groups-of-4", layers=1, hidden=64, heads=8, kv_heads=2, head_dim=32, tied=False),
]


@cache
def small_tokenizer() -> str:
    """tokenizer.json of a byte-level BPE with Qwen's pre-tokenizer and control tokens; "yes" and "no" are tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, min_frequency=2, show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(NOT_SPECIAL)
    return str(tokenizer.to_str())


def write_tokenizer(folder: Path, *, appends_end: bool, tokenizer_json: str | None = None) -> int:
    """Write the tokenizer files; returns the vocabulary size."""
    tokenizer = Tokenizer.from_str(tokenizer_json or small_tokenizer())
    if appends_end:
        end = tokenizer.token_to_id("<|endoftext|>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A <|endoftext|>", pair="$A $B <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>", model_max_length=131072
    )
    fast.save_pretrained(folder)
    return int(tokenizer.get_vocab_size(with_added_tokens=True))


def make_checkpoint(
    folder: Path,
    kind: str,
    shape: Shape = SHAPES[0],
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    **config: Any,
) -> Path:
    """Write a random-weight `kind` ("embedding" or "reranker") of `shape` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(folder, appends_end=kind == "embedding")
    settings = Qwen3Config(
        **{
            "vocab_size": vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.hidden * 3,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "tie_word_embeddings": shape.tied,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            # Wide enough that vectors and scores of different texts differ clearly.
            "initializer_range": 0.2,
            **config,
        }
    )
    torch.manual_seed(seed)
    model = Qwen3Model(settings) if kind == "embedding" else Qwen3ForCausalLM(settings)
    with torch.no_grad():  # norms start at one; real ones do not
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
    model.to(dtype).save_pretrained(folder)
    if kind == "embedding" and shape.sentence_transformers_files:
        _write_sentence_transformers_files(folder, shape.hidden)
    return folder


OFFICIAL_VOCABULARY = 151669


def make_with_tokenizer(folder: Path, kind: str, shape: Shape, tokenizer: Path) -> Path:
    """`make_checkpoint` with an official tokenizer, from its folder."""
    make_checkpoint(folder, kind, shape, vocab_size=OFFICIAL_VOCABULARY)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


def _write_sentence_transformers_files(folder: Path, hidden: int) -> None:
    """As on the hub: Transformer, Pooling(lasttoken), Normalize, and the two prompts."""
    modules = ["Transformer", "Pooling", "Normalize"]
    rows = [
        {"idx": i, "name": str(i), "path": f"{i}_{name}" if i else "", "type": f"sentence_transformers.models.{name}"}
        for i, name in enumerate(modules)
    ]
    prompts = {
        "query": "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
        "document": "",
    }
    pooling = {"word_embedding_dimension": hidden, "pooling_mode_lasttoken": True, "include_prompt": True}
    pooling |= {
        f"pooling_mode_{mode}": False
        for mode in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens")
    }
    files = {
        "modules.json": rows,
        "config_sentence_transformers.json": {
            "prompts": prompts,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": pooling,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
