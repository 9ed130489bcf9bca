"""Peak memory of reranking: ours beside the tutorial's method on a size both survive, then ours on 100 long passages.

    python examples/benchmarks/rerank_memory.py            # the 0.6B shape in bfloat16, tens of CPU minutes
    python examples/benchmarks/rerank_memory.py --quick    # the same steps on a tiny shape, seconds

Each row is a process of its own; its peak is the most resident memory it ever had, weights and libraries included.
The tutorial's method scores all passages in one batch and computes the logits of every position. Ends with one JSON
line; the bar is `--bar-gb` for the last row.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import add_run_options, describe, finish_options
from report import heading, table
from shapes import make_checkpoint
from texts import Job

QUERY = "How does a vector database keep its data?"
SHARED_SIZE, LARGE_SIZE, QUICK_SIZE = (10, 500), (100, 2000), (4, 50)  # passages, tokens of each
METHODS = {"ours": "Ours", "tutorial": "Tutorial"}


def passages(folder: Path, count: int, tokens: int) -> list[str]:
    """Different texts of exactly `tokens` tokens each, so that none can share work with another."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    chance = random.Random(0)
    words = ["segment", "sealed", "flushed", "object", "storage", "growing", "index", "vector", "replica", "shard"]
    made = []
    while len(made) < count:
        ids = tokenizer.encode(" ".join(chance.choices(words, k=tokens)), add_special_tokens=False).ids
        made.append(tokenizer.decode(ids[:tokens]))
    return made


def measure(task: dict[str, object]) -> dict[str, object]:
    """Score the passages of `task` in this process and say what it took."""
    import rerankers
    import torch

    torch.set_num_threads(int(str(task["threads"])))
    method_class = getattr(rerankers, METHODS[str(task["method"])])
    rerankers.TUTORIAL_BATCH = sys.maxsize  # its one batch, as in the tutorial
    texts = json.loads(Path(str(task["texts"])).read_text(encoding="utf-8"))
    method = method_class(Path(str(task["folder"])), str(task["device"]), str(task["dtype"]))
    method.run(Job(QUERY, (texts[0][:40],)))
    loaded, start = peak_mib(str(task["device"])), time.perf_counter()
    scores = method.run(Job(QUERY, tuple(texts)))
    seconds = time.perf_counter() - start
    assert len(scores) == len(texts)
    return {"peak_mib": peak_mib(str(task["device"])), "loaded_mib": loaded, "seconds": seconds}


def peak_mib(device: str) -> float:
    """The most memory this process has held. On Linux not `ru_maxrss`, which starts from the parent's peak."""
    status = Path("/proc/self/status")
    if device == "cpu" and status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    from worker import peak_memory_mib

    return peak_memory_mib(device)


def run_apart(task: dict[str, object]) -> dict[str, object]:
    """`measure` in a process of its own; a killed process is a row that says so."""
    done = subprocess.run([sys.executable, __file__, "--task", json.dumps(task)], stdout=subprocess.PIPE, text=True)
    row = {key: task[key] for key in ("method", "passages", "tokens")}
    if done.returncode:
        return {**row, "error": f"ended with {done.returncode}"}
    return {**row, **json.loads(done.stdout.splitlines()[-1])}


def main(options: argparse.Namespace) -> int:
    folder = make_checkpoint("reranker", options.shape, options.checkpoints, options.tokenizers)
    large_size = (options.passages or LARGE_SIZE[0], LARGE_SIZE[1])
    shared, large = (QUICK_SIZE, QUICK_SIZE) if options.quick else (SHARED_SIZE, large_size)
    rows = []
    for method, (count, tokens) in (("tutorial", shared), ("ours", shared), ("ours", large)):
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(passages(folder, count, tokens), file)
            file.flush()
            task = {"method": method, "passages": count, "tokens": tokens, "texts": file.name, "folder": str(folder)}
            task |= {"device": options.device, "dtype": options.dtype, "threads": options.threads}
            rows.append(run_apart(task))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    machine = describe(options)
    peak = rows[-1].get("peak_mib")
    within = peak is not None and float(str(peak)) * 2**20 < options.bar_gb * 1e9
    cells = [
        [str(row["method"]), str(row["passages"]), str(row["tokens"])]
        + [
            f"{float(str(row[key])):,.0f}" if key in row else str(row.get("error"))
            for key in ("loaded_mib", "peak_mib")
        ]
        + [f"{float(str(row['seconds'])):,.1f}" if "seconds" in row else "-"]
        for row in rows
    ]
    print(heading(machine))
    print(table(["method", "passages", "tokens", "after loading, MiB", "peak, MiB", "seconds"], cells))
    print(
        f"\nours on {large[0]} passages of {large[1]} tokens: {'under' if within else 'NOT under'} {options.bar_gb} GB"
    )
    print(json.dumps({**machine, "bar_gb": options.bar_gb, "within_bar": within, "rows": rows}))
    return 0 if within else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        print(json.dumps(measure(json.loads(sys.argv[2]))))
        sys.exit(0)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_options(parser, repeats=1)
    parser.add_argument("--bar-gb", type=float, default=6.0, help="the last row's bar in 10^9 bytes (6)")
    parser.add_argument("--passages", type=int, help="of the last row (100); fewer only shorten the run")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.shape = "tiny"
    sys.exit(main(finish_options(chosen)))
