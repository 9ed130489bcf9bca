"""Write checkpoint folders with the files, names and formats of the official ones on the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from build_tokenizer import ADDED, END
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

TASK = "Given a web search query, retrieve relevant passages that answer the query"
SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
CHAT_TEMPLATE = (
    "{%- set find = namespace(task='" + TASK + "', query='', document='') -%}"
    "{%- for message in messages -%}"
    "{%- if message.content is string -%}{%- set text = message.content -%}"
    "{%- else -%}{%- set text = message.content[0].text -%}{%- endif -%}"
    "{%- if message.role == 'system' -%}{%- set find.task = text -%}"
    "{%- elif message.role == 'query' -%}{%- set find.query = text -%}"
    "{%- elif message.role == 'document' -%}{%- set find.document = text -%}{%- endif -%}"
    "{%- endfor -%}"
    "{{- '<|im_start|>system\\n" + SYSTEM + "<|im_end|>\\n<|im_start|>user\\n<Instruct>: ' + find.task"
    " + '\\n<Query>: ' + find.query + '\\n<Document>: ' + find.document"
    " + '<|im_end|>\\n<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' -}}"
)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_common(model: Qwen3ForCausalLM, tokenizer_file: Path, out: Path, prefix: bool) -> None:
    """config.json in the hub's own format, bf16 weights, tokenizer files."""
    out.mkdir(parents=True, exist_ok=True)
    c = model.config
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    write_json(
        out / "config.json",
        {
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": tokenizer.token_to_id(END),
            "eos_token_id": tokenizer.token_to_id(END if not prefix else "<|im_end|>"),
            "head_dim": c.head_dim,
            "hidden_act": "silu",
            "hidden_size": c.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": c.intermediate_size,
            "max_position_embeddings": c.max_position_embeddings,
            "max_window_layers": c.num_hidden_layers,
            "model_type": "qwen3",
            "num_attention_heads": c.num_attention_heads,
            "num_hidden_layers": c.num_hidden_layers,
            "num_key_value_heads": c.num_key_value_heads,
            "rms_norm_eps": c.rms_norm_eps,
            "rope_scaling": None,
            "rope_theta": float(c.rope_parameters["rope_theta"]),
            "sliding_window": None,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.51.3",
            "use_cache": True,
            "use_sliding_window": False,
            "vocab_size": c.vocab_size,
        },
    )
    weights = {name: w.detach().to(torch.bfloat16).contiguous() for name, w in model.model.state_dict().items()}
    named = {f"model.{name}" if prefix else name: weight for name, weight in weights.items()}
    save_file(named, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    shutil.copyfile(tokenizer_file, out / "tokenizer.json")
    decoder = {
        str(tokenizer.token_to_id(content)): {
            "content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": special,
        }
        for content, special in ADDED
    }  # fmt: skip
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": [content for content, special in ADDED if special and content != END],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": END,
        "split_special_tokens": False,
        # Not Qwen2Tokenizer: that class rebuilds its own normalizer and would drop the lower-casing.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }
    if prefix:
        settings["chat_template"] = CHAT_TEMPLATE
    write_json(out / "tokenizer_config.json", settings)


def write_embedder(model: Qwen3ForCausalLM, tokenizer_file: Path, out: Path) -> None:
    """The embedding checkpoint; its weights carry no `model.` prefix, as on the hub."""
    write_common(model, tokenizer_file, out, prefix=False)
    kind = "sentence_transformers.models"
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"{kind}.{name}"} for i, (path, name) in enumerate(modules)
    ]
    write_json(out / "modules.json", listed)
    write_json(
        out / "config_sentence_transformers.json",
        {
            "prompts": {"query": f"Instruct: {TASK}\nQuery:", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    pooling = {f"pooling_mode_{mode}": mode == "lasttoken" for mode in modes}
    write_json(
        out / "1_Pooling/config.json",
        {"word_embedding_dimension": model.config.hidden_size, **pooling, "include_prompt": True},
    )


def write_reranker(model: Qwen3ForCausalLM, tokenizer_file: Path, out: Path) -> None:
    """The reranker checkpoint, with the files by which `CrossEncoder` loads it: scores are logit differences."""
    write_common(model, tokenizer_file, out, prefix=True)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    base, cross = "sentence_transformers.base.modules.transformer", "sentence_transformers.cross_encoder.modules"
    modules = (("", f"{base}.Transformer"), ("1_LogitScore", f"{cross}.logit_score.LogitScore"))
    listed = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)]
    write_json(out / "modules.json", listed)
    ids = {"true_token_id": tokenizer.token_to_id("yes"), "false_token_id": tokenizer.token_to_id("no")}
    write_json(out / "1_LogitScore/config.json", {**ids, "module_input_name": "causal_logits"})
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE, "utf-8")
    structured = {"method": "forward", "method_output_name": "logits", "format": "structured"}
    write_json(
        out / "sentence_bert_config.json",
        {
            "transformer_task": "text-generation",
            "modality_config": {
                "text": {"method": "forward", "method_output_name": "logits"},
                "message": structured,
            },
            "module_output_name": "causal_logits",
        },
    )
    write_json(
        out / "config_sentence_transformers.json",
        {
            "model_type": "CrossEncoder",
            "prompts": {"query": TASK},
            "default_prompt_name": "query",
            "activation_fn": "torch.nn.modules.linear.Identity",
        },
    )
