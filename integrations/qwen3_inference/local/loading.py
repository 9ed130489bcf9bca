"""Weights into memory, as an embedder or a reranker."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.adapters import merged_weights
from qwen3_inference.local.checkpoint import Checkpoint
from qwen3_inference.local.decoder import Qwen3Decoder
from qwen3_inference.local.dense import load_dense
from qwen3_inference.local.heads import head_shapes, logit_row
from qwen3_inference.local.template import template_instruction
from qwen3_inference.local.weights import Weights, check_weights, open_weights
from qwen3_inference.sequences import check_reranker_tokenizer, embedder_end
from qwen3_inference.tokenization import PromptTokenizer


@dataclass(frozen=True)
class LoadedEmbedder:
    decoder: Qwen3Decoder
    head: Callable[[Tensor], Tensor]
    """Last hidden states (N, hidden) to vectors (N, dimension): a fine-tune's dense layers, and the normalisation."""
    end_ids: list[int]
    """What the tokenizer appends to every text: `<|endoftext|>`, whose position is the pooled one."""
    query_prompt: str | None
    """Put before queries where no instruction is given; None: the authors' default instruction."""
    document_prompt: str
    """Put before documents where no other is given."""


@dataclass(frozen=True)
class LoadedReranker:
    decoder: Qwen3Decoder
    logit_row: Tensor
    """float32 (hidden,): its product with the last hidden state is the logit of the probability."""
    instruction: str | None
    """The checkpoint's default instruction; None: the authors'."""


def load_embedder(
    checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: torch.device, dtype: torch.dtype
) -> LoadedEmbedder:
    """Raises CheckpointError for weights that do not fit, or a tokenizer that appends no `<|endoftext|>`."""
    end_ids = embedder_end(tokenizer)
    decoder, _ = _load_decoder(checkpoint, tokenizer, device, dtype)
    modules = checkpoint.modules
    layers = load_dense(modules.dense, device) if modules and modules.dense else []
    is_normalized = modules is None or modules.is_normalized

    def head(hidden: Tensor) -> Tensor:
        for layer in layers:
            hidden = layer({"sentence_embedding": hidden})["sentence_embedding"]
        return torch.nn.functional.normalize(hidden, dim=-1) if is_normalized else hidden

    return LoadedEmbedder(
        decoder,
        head,
        end_ids,
        query_prompt=modules.query_prompt if modules else None,
        document_prompt=modules.document_prompt if modules else "",
    )


def load_reranker(
    checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: torch.device, dtype: torch.dtype
) -> LoadedReranker:
    """Raises CheckpointError for weights or a prompt that do not fit, or where "yes" or "no" is not one token."""
    check_reranker_tokenizer(tokenizer)
    own = template_instruction(tokenizer.folder)
    decoder, weights = _load_decoder(checkpoint, tokenizer, device, dtype)
    row = logit_row(weights, checkpoint.architecture, checkpoint.modules, tokenizer)
    instruction = checkpoint.modules.instruction if checkpoint.modules else None
    return LoadedReranker(decoder, row.to(device), instruction or own)


def _load_decoder(
    checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: torch.device, dtype: torch.dtype
) -> tuple[Qwen3Decoder, Weights]:
    architecture = checkpoint.architecture
    if tokenizer.largest_id >= architecture.vocab_size:
        raise CheckpointError(
            f"the tokenizer in {tokenizer.folder} has ids up to {tokenizer.largest_id}, the model in "
            f"{checkpoint.weights_folder} has {architecture.vocab_size} embeddings: they do not belong together, or "
            "words were added without resize_token_embeddings()"
        )
    if checkpoint.adapter and checkpoint.base:
        where = str(checkpoint.adapter.folder)
        weights: Weights = merged_weights(checkpoint.adapter, checkpoint.base.weights_folder, checkpoint.kind, dtype)
    else:
        where = str(checkpoint.weights_folder)
        weights = open_weights(checkpoint.weights_folder)
    head = head_shapes(architecture, checkpoint.kind, weights.shapes)
    prefix = check_weights(weights, architecture, head, where)

    def weight(name: str) -> Tensor:
        full = prefix + name
        return weights.tensor(full if full in weights.shapes else "lm_head.weight", dtype, device)

    return Qwen3Decoder(architecture, weight, device), weights
