"""Which device and which number format: the one place that asks torch what the hardware has."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16", "float16")


def check_dtype(dtype: str) -> str:
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} must be one of {', '.join(map(repr, DTYPES))}")
    return dtype


def resolve_device(device: str | None) -> "torch.device":
    """`device`, or the best one here: CUDA, then Apple's MPS, then the CPU."""
    import torch

    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={device!r} cannot be used here ({reason}); try 'cpu' or None") from error
    return chosen


def resolve_dtype(dtype: str, device: "torch.device") -> "torch.dtype":
    """`dtype`; "auto" is bfloat16 where the hardware multiplies it natively and float32 elsewhere.

    On a CPU that means the instruction sets AVX512-BF16 or AMX (x86) or BF16 (Arm): without them torch emulates
    bfloat16 and is slower than in float32.
    """
    import torch

    if dtype != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[check_dtype(dtype)]
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        native = _cpu_has_bf16()
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def _cpu_has_bf16() -> bool:
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if capabilities:
        return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))
    return any(
        bool(getattr(torch.cpu, probe, bool)()) for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
