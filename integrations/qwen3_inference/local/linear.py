"""Linear layers whose weights lie as the CPU's matrix kernels read them.

oneDNN brings a bfloat16 weight into blocks before it multiplies, on every call. Done once instead, the products are
the same to the last bit: 5 % faster at a thousand rows, 1.6 times as fast at the 14 rows of a query. torch has the
operators, for its compiler, but no public names for them; where they are missing or wrong, the weight stays as it is.

In float32 a weight in blocks makes long batches 5 % slower than MKL, to which torch leaves them, so it stays as it is
too. For the few rows of a query MKL is 1.2 to 1.7 times as fast when the weight, instead of the rows, comes first.
"""

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

# The number of rows that the blocks are chosen for; they serve any other as well.
_ROWS = 1024
# Measured in float32, on weights that no cache holds: the weight first is slower below these rows, and above them.
_FEW_ROWS = range(5, 41)
_LARGE = 2**20


class Linear:
    """x @ weight.T + bias; x (T, in), weight (out, in), bias (out) or None."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._is_packed = _should_pack(weight)
        self._weight = _pack(weight) if self._is_packed else weight
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        if self._is_packed:
            return _multiply(x, self._weight, self._bias)
        return _product(x, self._weight, self._bias)


class GatedLinear:
    """silu(x @ gate.T) * (x @ up.T); x (T, in), gate and up (out, in).

    On packed weights both steps happen before a product is rounded: a third less error, and two passes saved.
    """

    def __init__(self, gate: Tensor, up: Tensor) -> None:
        self._is_packed = _should_pack(gate)
        self._weights = [_pack(gate), _pack(up)] if self._is_packed else [torch.cat((gate, up))]

    def __call__(self, x: Tensor) -> Tensor:
        if self._is_packed:
            return _multiply_gated(x, *self._weights)
        gate, up = _product(x, self._weights[0]).chunk(2, dim=-1)
        return F.silu(gate).mul_(up)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    weight_first = weight.dtype == torch.float32 and weight.device.type == "cpu" and weight.numel() >= _LARGE
    if not (weight_first and len(x) in _FEW_ROWS):
        return F.linear(x, weight, bias)
    product = torch.mm(weight, x.T).T.contiguous()
    return product if bias is None else product.add_(bias)


def _should_pack(weight: Tensor) -> bool:
    return weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and _can_pack()


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    return packed


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product


def _multiply_gated(x: Tensor, gate: Tensor, up: Tensor) -> Tensor:
    opened = torch.ops.mkldnn._linear_pointwise(x, gate, None, "swish", [], "")
    product: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, opened, up, None, "mul")
    return product


@cache
def _can_pack() -> bool:
    """Whether this torch on this processor has the operators, and they compute what they should."""
    values = torch.arange(64 * 32, dtype=torch.float32).remainder(7).sub(3).bfloat16()
    x, weight, bias = values[: 16 * 32].view(16, 32), values[16 * 32 :].view(48, 32), values[:48]
    try:
        packed = _pack(weight)
        plain, gated = _multiply(x, packed, bias), _multiply_gated(x / 32, packed, packed)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    once = F.linear(x.float() / 32, weight.float())
    return torch.equal(plain, F.linear(x, weight, bias)) and torch.allclose(
        gated.float(), F.silu(once) * once, rtol=2**-7, atol=2**-7
    )
