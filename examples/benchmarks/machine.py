"""The machine and the libraries a figure was taken with, and the options that choose between them."""

import argparse
import os
import platform
from datetime import datetime
from pathlib import Path

from packages import versions
from shapes import add_options

LIBRARIES = (
    "llama-index-qwen3",
    "torch",
    "transformers",
    "sentence-transformers",
    "llama-index-core",
    "llama-index-embeddings-huggingface",
    "llama-index-postprocessor-sbert-rerank",
)


def add_run_options(parser: argparse.ArgumentParser, repeats: int) -> None:
    """The options that all benchmarks share."""
    add_options(parser)
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda where there is one, else cpu)")
    parser.add_argument("--dtype", choices=["bfloat16", "float32", "float16"], default="bfloat16")
    parser.add_argument("--threads", type=int, default=available_cores(), help="CPU threads (default: all cores)")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"rounds, each with other texts ({repeats})")
    parser.add_argument("--quick", action="store_true", help="a few texts and one round: tries the script out")


def finish_options(options: argparse.Namespace) -> argparse.Namespace:
    """Fill in what depends on the machine."""
    if options.device is None:
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.quick:
        options.repeats = 1
    return options


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(options: argparse.Namespace) -> dict[str, object]:
    """Date, machine, versions and settings, for the head of a report and for its JSON line."""
    import torch

    device = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else _cpu()
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": device,
        "threads": options.threads,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "shape": options.shape,
        "dtype": options.dtype,
        "versions": versions(*LIBRARIES),
    }


def _cpu() -> str:
    """Name, cores and the instruction sets for bf16."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    native = [name for name in ("avx512_bf16", "amx_bf16", "bf16") if name in facts.get("flags", "").split()]
    name = facts.get("model name") or platform.processor() or "CPU"
    return f"{name}, {available_cores()} cores, {' '.join(native) or 'no bf16 instructions'}"
