"""Weights into memory: the embedder through sentence-transformers, the reranker through transformers."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.checkpoint import Checkpoint
from qwen3_inference.local.decoder import Qwen3Decoder
from qwen3_inference.tokenization import PromptTokenizer


@dataclass(frozen=True)
class LoadedEmbedder:
    decoder: Qwen3Decoder
    head: torch.nn.Sequential
    """The sentence-transformers modules after the pooling (normalisation, or a fine-tune's dense layer)."""
    end_ids: list[int]
    """What the tokenizer appends to every text: `<|endoftext|>`, whose position is the pooled one."""


@dataclass(frozen=True)
class LoadedReranker:
    decoder: Qwen3Decoder
    yes_minus_no: Tensor
    """w_yes - w_no, float32 (hidden,): the logit difference is its product with the last hidden state."""


def load_embedder(
    checkpoint: Checkpoint,
    tokenizer: PromptTokenizer,
    device: torch.device,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> LoadedEmbedder:
    """Raises CheckpointError for a tokenizer that appends no `<|endoftext|>` or modules without last-token pooling."""
    end_ids = tokenizer.appended_ids()
    if end_ids != [tokenizer.token_id("<|endoftext|>")]:
        raise CheckpointError(
            f"the tokenizer in {checkpoint.folder} appends {end_ids} to a text instead of <|endoftext|>, at whose "
            "position Qwen3-Embedding is read; take tokenizer.json from the model's hub repository (old conversions "
            "lack it, and a reranker's has none)"
        )
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True}
    with _quiet_loading():
        if checkpoint.has_sentence_transformers_files:
            model = SentenceTransformer(
                str(checkpoint.folder),
                device="cpu",
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                model_kwargs=options,
            )
        else:
            transformer = Transformer(
                str(checkpoint.folder), model_kwargs={**options, "trust_remote_code": trust_remote_code}
            )
            pooling = Pooling(checkpoint.hidden_size, pooling_mode="lasttoken")
            model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    modules = list(model)
    pooling = modules[1] if len(modules) > 1 else None
    if not isinstance(pooling, Pooling) or pooling.pooling_mode != "lasttoken":
        raise CheckpointError(
            f"{checkpoint.folder}/modules.json must start with Transformer and Pooling(lasttoken), as Qwen3-Embedding; "
            f"it has {[type(module).__name__ for module in modules]}"
        )
    head = torch.nn.Sequential(*modules[2:]).to(device).float().eval()
    return LoadedEmbedder(Qwen3Decoder(modules[0].auto_model, device), head, end_ids)


def load_reranker(
    checkpoint: Checkpoint,
    tokenizer: PromptTokenizer,
    device: torch.device,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> LoadedReranker:
    """Raises CheckpointError where "yes" or "no" is not one token."""
    yes, no = tokenizer.single_id("yes"), tokenizer.single_id("no")
    from transformers import AutoModelForCausalLM

    with _quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(
            str(checkpoint.folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
        )
    head: Tensor = model.lm_head.weight.detach()
    yes_minus_no = head[yes].float() - head[no].float()
    return LoadedReranker(Qwen3Decoder(model.model, device), yes_minus_no.to(device))


@contextlib.contextmanager
def _quiet_loading() -> Iterator[None]:
    """No weight-loading progress bars in an application's output; warnings and errors stay."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
