"""The frequencies of the rotary position embedding, by transformers' own functions where they are scaled."""

import torch
from torch import Tensor

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.architecture import Architecture, rope_parameters


def inverse_frequencies(architecture: Architecture) -> tuple[Tensor, float]:
    """Float32 (D / 2), and the factor of cosines and sines."""
    rope, dim = rope_parameters(architecture.config), architecture.head_dim
    if rope["rope_type"] == "default":
        exponents = torch.arange(0, dim, 2, dtype=torch.float32) / dim
        return 1.0 / (rope["rope_theta"] ** exponents), 1.0
    from transformers import Qwen3Config
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    try:
        config = Qwen3Config(**{**architecture.config, "rope_scaling": None, "rope_parameters": rope})
        frequencies, scale = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, torch.device("cpu"))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the rotary embedding {rope} cannot be computed: {error!r}") from error
    return frequencies.float(), float(scale)
