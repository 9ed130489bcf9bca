"""What importing both classes costs beside importing LlamaIndex's core: the bar is a ratio under 1.5.

    python examples/benchmarks/import_time.py [--repeats 7]

Each import is a process of its own, the two kinds alternate, and the least CPU time of each counts (importing runs on
one thread, and what a busy machine adds to the wall clock is not the import's). Ends with one JSON line.
"""

import argparse
import json
import platform
import subprocess
import sys
from datetime import datetime

from packages import versions
from report import table

BAR = 1.5
CORE = "import llama_index.core"
IMPORTS = {
    "llama_index.core": CORE,
    "both classes": "from llama_index.embeddings.qwen3 import Qwen3Embedding\n"
    "from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank",
}
TIMED = "import time; start = time.process_time()\n{}\nprint(time.process_time() - start)"


def seconds(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", TIMED.format(code)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(repeats: int) -> int:
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(repeats + 1):  # the first round fills the file cache and is dropped below
        for name, code in IMPORTS.items():
            times[name].append(seconds(code))
    least = {name: min(values[1:]) for name, values in times.items()}
    ratio = least["both classes"] / least["llama_index.core"]
    print(table(["import", "CPU seconds"], [[name, f"{value:.2f}"] for name, value in least.items()]))
    print(f"\nratio {ratio:.2f}, {'under' if ratio < BAR else 'NOT under'} {BAR}")
    facts = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "python": platform.python_version()}
    facts |= {"system": f"{platform.system()} {platform.machine()}"}
    used = versions("llama-index-qwen3", "llama-index-core")
    print(json.dumps({**facts, "versions": used, "repeats": repeats, "cpu_seconds": least, "ratio": ratio, "bar": BAR}))
    return 0 if ratio < BAR else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    sys.exit(main(parser.parse_args().repeats))
