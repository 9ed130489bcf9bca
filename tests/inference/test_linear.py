"""Linear layers with rearranged weights: the same product, and the plain one where that cannot be done."""

import pytest
import torch
import torch.nn.functional as F
from qwen3_inference.local import linear
from qwen3_inference.local.linear import GatedLinear, Linear

needs_packing = pytest.mark.skipif(
    not linear._can_pack(), reason="this torch on this processor cannot rearrange bfloat16 weights"
)


def layer(rows: int, inputs: int, outputs: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    shapes = (rows, inputs), (outputs, inputs), (outputs,)
    x, weight, bias = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    return x, weight, bias


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs"), [(1024, 1100), (256, 512), (224, 96), (48, 16), (31, 7)])
@pytest.mark.parametrize("rows", [1, 14, 300])
def test_the_product_is_that_of_torch(rows, inputs, outputs, dtype):
    x, weight, bias = layer(rows, inputs, outputs, dtype)
    for added in (None, bias):
        ours, theirs = Linear(weight.clone(), added)(x), F.linear(x, weight, added)
        assert ours.dtype == dtype
        # bfloat16 keeps 8 bits; two kernels that both sum in float32 may round to neighbours.
        torch.testing.assert_close(ours, theirs, rtol=2**-7 if dtype == torch.bfloat16 else 1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs", "scale"), [(1024, 600, 32), (224, 96, 8)])
@pytest.mark.parametrize("rows", [1, 14, 300])
def test_the_gated_product_is_that_of_torch(rows, inputs, outputs, scale, dtype):
    x, weight, _ = layer(rows, inputs, outputs, dtype)
    gate, up = weight / scale, weight.flip(0) / scale
    exact = F.silu(F.linear(x.double(), gate.double())) * F.linear(x.double(), up.double())
    ours = GatedLinear(gate.clone(), up.clone())(x)
    assert ours.dtype == dtype
    tolerance = 2**-6 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(ours.double(), exact, rtol=tolerance, atol=tolerance)


@needs_packing
def test_bfloat16_weights_are_rearranged_and_float32_ones_are_not():
    _, weight, _ = layer(1, 64, 32, torch.bfloat16)
    assert Linear(weight)._weight.is_mkldnn
    assert not Linear(weight.float())._weight.is_mkldnn


@needs_packing
def test_a_torch_without_the_operators_multiplies_all_the_same(monkeypatch):
    def missing(*_: object) -> torch.Tensor:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")

    x, weight, bias = layer(5, 64, 32, torch.bfloat16)
    linear._can_pack.cache_clear()
    monkeypatch.setattr(linear, "_pack", missing)
    try:
        assert torch.equal(Linear(weight, bias)(x), F.linear(x, weight, bias))
    finally:
        linear._can_pack.cache_clear()


@needs_packing
def test_an_operator_that_computes_something_else_is_not_used(monkeypatch):
    x, weight, bias = layer(5, 64, 32, torch.bfloat16)
    linear._can_pack.cache_clear()
    multiply = linear._multiply
    monkeypatch.setattr(linear, "_multiply", lambda *args: multiply(*args) + 1)
    try:
        assert torch.equal(Linear(weight, bias)(x), F.linear(x, weight, bias))
    finally:
        linear._can_pack.cache_clear()
