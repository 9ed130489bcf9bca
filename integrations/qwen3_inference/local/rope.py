"""The rotary position embedding; its frequencies are transformers' own where they are scaled."""

import torch
from torch import Tensor

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.architecture import Architecture, rope_parameters


class Turns:
    """Rotations of a pack's tokens, from those by position, complex64 (positions, D / 2)."""

    def __init__(self, by_position: Tensor, positions: Tensor) -> None:
        self._by_position, self._positions = by_position, positions
        self._whole: Tensor | None = None

    def of(self, pairs: Tensor | None) -> Tensor:
        """For some pairs of channels, or all D / 2: (T, 1, 1, pairs)."""
        if pairs is not None:
            return self._by_position[:, pairs][self._positions, None, None]
        if self._whole is None:
            self._whole = self._by_position[self._positions, None, None]
        return self._whole


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
