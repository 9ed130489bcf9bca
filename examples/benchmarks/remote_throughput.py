"""Passages a second through a vLLM server: `RemoteEmbeddingEngine` against vLLM's own benchmark client.

    python examples/benchmarks/remote_throughput.py --vllm VENV                # the 0.6B shape; hours on 2 cores
    python examples/benchmarks/remote_throughput.py --vllm VENV --layers 2     # two of its layers: the same requests
    python examples/benchmarks/remote_throughput.py --vllm VENV --url http://host:8000 --model NAME --tokenizer FOLDER

VENV is a virtual environment with vLLM. A server of its own is started on a free port, without prefix caching, which
would answer a repeated text without computing it; one that is given by --url should be started like that. Both clients
get the same texts, other ones each round, and have as many of them on their way at once; who begins alternates. The bar
is `--bar` for the median of the rounds' ratios. Ends with one JSON line; exit code 5 where the bar is missed.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import add_run_options, describe, finish_options
from model_servers import vllm
from qwen3_inference.remote import RemoteEmbeddingEngine
from report import heading, json_line, number, table
from shapes import make_checkpoint
from texts import UNTIMED, deal, source


def ours(engine: RemoteEmbeddingEngine, texts: tuple[str, ...]) -> float:
    """Seconds from texts to unit vectors: tokens, requests, order and norms included."""
    start = time.perf_counter()
    vectors = engine.embed_documents(texts)
    seconds = time.perf_counter() - start
    assert len(vectors) == len(texts)
    return seconds


def theirs(options: argparse.Namespace, url: str, texts: tuple[str, ...], folder: Path) -> float:
    """Seconds that `vllm bench serve` reports for the same texts, a request each."""
    data = folder / "texts.jsonl"
    data.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts), encoding="utf-8")
    command = [str(options.vllm / "bin" / "vllm"), "bench", "serve", "--backend", "openai-embeddings"]
    command += ["--base-url", url, "--endpoint", "/v1/embeddings", "--model", options.model]
    command += ["--tokenizer", str(options.tokenizer), "--dataset-name", "custom", "--dataset-path", str(data)]
    command += ["--skip-chat-template", "--disable-shuffle", "--num-prompts", str(len(texts)), "--disable-tqdm"]
    command += ["--max-concurrency", str(options.batch_size * options.concurrency)]
    command += ["--save-result", "--result-dir", str(folder), "--result-filename", "result.json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    result = json.loads((folder / "result.json").read_text())
    assert result["completed"] == len(texts), f"{result['completed']} of {len(texts)} requests were answered"
    return float(result["duration"])


def check_bench(options: argparse.Namespace) -> None:
    """Its client needs packages that its server does not; found out before anything is computed."""
    needed = [str(options.vllm / "bin" / "python"), "-c", "import pandas, datasets"]
    if subprocess.run(needed, check=False, capture_output=True).returncode:
        raise SystemExit(f"`vllm bench` cannot run: {options.vllm}/bin/pip install pandas datasets")


def shallow(folder: Path, layers: int, into: Path) -> Path:
    """The checkpoint with its first layers alone: the same tokens and requests, less to compute for each."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, into)
    config = json.loads((into / "config.json").read_text())
    config["num_hidden_layers"], config["layer_types"] = layers, config.get("layer_types", [])[:layers] or None
    (into / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    weights = load_file(into / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if _layer(name) < layers}
    save_file(kept, into / "model.safetensors", metadata={"format": "pt"})
    return into


def _layer(name: str) -> int:
    parts = name.split("layers.")
    return int(parts[1].split(".")[0]) if len(parts) > 1 else -1


def measure(options: argparse.Namespace, url: str, folder: Path) -> list[dict[str, float]]:
    engine = RemoteEmbeddingEngine(
        url,
        options.model,
        tokenizer=str(options.tokenizer),
        batch_size=options.batch_size,
        concurrency=options.concurrency,
        timeout=3600,
    )
    warm = deal("abstracts", min(options.count, 64), UNTIMED)
    ours(engine, warm)
    theirs(options, url, warm, folder)
    rows = []
    for turn in range(options.repeats):
        clients = {
            "ours": lambda texts: ours(engine, texts),
            "vllm": lambda texts: theirs(options, url, texts, folder),
        }
        order = ("ours", "vllm") if turn % 2 == 0 else ("vllm", "ours")
        texts = deal("abstracts", options.count, turn)
        row = {name: options.count / clients[name](texts) for name in order}
        rows.append({**row, "ratio": row["ours"] / row["vllm"]})
        print(f"round {turn + 1}: ours {row['ours']:.1f}/s, vLLM's {row['vllm']:.1f}/s", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, required=True, help="virtual environment with vLLM")
    parser.add_argument("--url", help="a running server instead of one of its own")
    parser.add_argument("--model", default="model", help="what that server calls the model")
    parser.add_argument("--tokenizer", type=Path, help="the model's folder, where --url is given")
    parser.add_argument("--layers", type=int, help="keep that many layers of the shape")
    parser.add_argument("--count", type=int, default=1000, help="passages in a round")
    parser.add_argument("--batch-size", type=int, default=32, help="texts in a request of ours")
    parser.add_argument("--concurrency", type=int, default=16, help="requests of ours at once")
    parser.add_argument("--bar", type=float, default=0.95)
    add_run_options(parser, repeats=3)
    options = finish_options(parser.parse_args())
    if options.quick:
        options.count, options.layers = 64, options.layers or 1
    check_bench(options)
    with tempfile.TemporaryDirectory(prefix="remote-throughput-") as name:
        folder = Path(name)
        if options.tokenizer is None:
            options.tokenizer = make_checkpoint("embedding", options.shape, options.checkpoints, options.tokenizers)
            if options.layers:
                options.tokenizer = shallow(options.tokenizer, options.layers, folder / "shallow")
        if options.url:
            rows = measure(options, options.url, folder)
        else:
            log, uncached = folder / "server.log", "--no-enable-prefix-caching"
            with vllm(options.vllm, options.tokenizer, log, options.dtype, uncached) as url:
                rows = measure(options, url, folder)
    ratio = statistics.median(row["ratio"] for row in rows)
    print(heading(describe(options)))
    head = ("round", "ours, passages/s", "vllm bench serve, passages/s", "ratio")
    cells = [
        [str(turn), number(row["ours"], 4), number(row["vllm"], 4), number(row["ratio"])]
        for turn, row in enumerate(rows, 1)
    ]
    print(table(head, cells))
    at_once = options.batch_size * options.concurrency
    print(f"\n{options.count} texts of {source()} a round, {at_once} on their way at once; median ratio {ratio:.3f}")
    passed = ratio >= options.bar
    more = {"ratio": ratio, "bar": options.bar, "passed": passed, "count": options.count, "at_once": at_once}
    print(json_line(describe(options), rows, layers=options.layers, **more))
    if not passed:
        raise SystemExit(5)


if __name__ == "__main__":
    main()
