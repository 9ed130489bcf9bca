"""How long `qwen3-rag verify` takes, and how often it asks, against a vLLM server of the 0.6B shape on this CPU.

    python examples/benchmarks/verify_seconds.py --vllm VENV

VENV is a virtual environment with vLLM. Each command is timed as a whole, start of Python included, without the long
texts of the truncation probe; requests are counted in the server's own log. The first command meets a server that has
just started, as a user's does. The bars are 30 requests and 20 seconds without weights. Ends with one JSON line; exit
code 5 where a bar is missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from machine import add_run_options, describe, finish_options
from model_servers import VLLM_RERANKER, vllm
from report import heading, json_line, number, table
from shapes import make_checkpoint

SCRIPT = Path(sys.executable).with_name("qwen3-rag")
REQUESTS, SECONDS = 30, 20


def ways(stage: str, url: str, folder: Path, expected: Path) -> dict[str, list[str]]:
    """The command line by what it is given of the model."""
    command = [str(SCRIPT), "verify", "--no-truncation", "--json", f"--{stage}-url", url, f"--{stage}-model", "model"]
    if stage == "rerank":
        command += ["--rerank-dialect", "vllm", "--rerank-prompt", "server"]
    tokenizer = [*command, f"--{stage}-tokenizer", str(folder)]
    return {
        "address": command,
        "tokenizer": tokenizer,
        "file": [*tokenizer, "--against", str(expected)],
        "weights": [*tokenizer, f"--{stage}-weights", str(folder)],
    }


def measure(command: list[str], log: Path, url: str) -> dict[str, Any]:
    before, read, began = asked(log), tokens(url), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    assert done.returncode in (0, 5), done.stderr
    verdict = json.loads(done.stdout)["verdict"]
    return {"seconds": seconds, "requests": asked(log) - before, "tokens": tokens(url) - read, "verdict": verdict}


def asked(log: Path) -> int:
    """Requests that the server has answered, by its access log."""
    return log.read_text(encoding="utf-8").count('"POST /')


def tokens(url: str) -> int:
    """Tokens that the server has read."""
    with urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:prompt_tokens_total")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, required=True, help="virtual environment with vLLM")
    given = ("address", "tokenizer", "file", "weights")
    parser.add_argument("--given", nargs="+", choices=given, default=given, help="what verify has of the model")
    add_run_options(parser, repeats=1)
    options = finish_options(parser.parse_args())
    rows = []
    with tempfile.TemporaryDirectory(prefix="verify-seconds-") as name:
        scratch = Path(name)
        for kind, stage in (("embedding", "embed"), ("reranker", "rerank")):
            folder = make_checkpoint(kind, options.shape, options.checkpoints, options.tokenizers)
            expected, log = scratch / f"{stage}.json", scratch / f"{stage}.log"
            if "file" in options.given:
                write = [str(SCRIPT), "verify", f"--{stage}-weights", str(folder), "--write", str(expected)]
                subprocess.run(write, check=True, capture_output=True)
            more = [] if stage == "embed" else [*VLLM_RERANKER, "--chat-template", str(folder / "chat_template.jinja")]
            with vllm(options.vllm, folder, log, options.dtype, *more) as url:
                for turn in range(options.repeats):
                    for way in options.given:
                        command = ways(stage, url, folder, expected)[way]
                        rows.append({"stage": stage, "given": way, "round": turn + 1, **measure(command, log, url)})
                        print(rows[-1], file=sys.stderr, flush=True)
    passed = all(row["requests"] < REQUESTS for row in rows)
    passed = passed and all(row["seconds"] < SECONDS for row in rows if row["given"] != "weights")
    print(heading(describe(options)))
    cells = [
        [row["stage"], row["given"], str(row["requests"]), str(row["tokens"]), number(row["seconds"]), row["verdict"]]
        for row in rows
    ]
    print(table(("stage", "verify is given", "requests", "tokens", "seconds", "verdict"), cells))
    print(json_line(describe(options), rows, bars={"requests": REQUESTS, "seconds": SECONDS}, passed=passed))
    if not passed:
        raise SystemExit(5)


if __name__ == "__main__":
    main()
