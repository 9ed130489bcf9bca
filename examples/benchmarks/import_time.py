"""What starting costs: importing the two classes beside LlamaIndex's core (the bar is a ratio under 1.5), and commands.

    python examples/benchmarks/import_time.py [--repeats 7] [--against CHECKOUT]

Each start is a process of its own, the kinds alternate, and the least CPU time of each counts, user and system together
(starting runs on one thread, and what a busy machine adds to the wall clock is not ours). The search asks the bundled
pair about the bundled knowledge base, without a service. With `--against`, the same with the sources of another
checkout, in turn. Ends with one JSON line.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import qwen3_rag
from packages import versions
from report import table

BAR = 1.5
CORE, BOTH = "import llama_index.core", "import both classes"
COMMAND = [sys.executable, "-m", "qwen3_rag.cli"]
HERE = Path(__file__).parents[2]
STARTS = {
    CORE: [sys.executable, "-c", CORE],
    BOTH: [
        sys.executable,
        "-c",
        "from llama_index.embeddings.qwen3 import Qwen3Embedding\n"
        "from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank",
    ],
    "qwen3-rag --help": [*COMMAND, "--help"],
    "qwen3-rag search": [*COMMAND, "search", "How is data stored in milvus?", "--server", "none"],
}


def seconds(command: list[str], folder: str, checkout: Path) -> float:
    """CPU seconds of a command in `folder`, with one checkout's sources."""
    sources = os.pathsep.join(str(checkout / part) for part in ("integrations", "pipelines"))
    settings = {"PYTHONPATH": sources, "OMP_NUM_THREADS": "1", "QWEN3_RAG_EMBED_MODEL": "tiny"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(repeats: int, against: Path | None) -> int:
    checkouts = {"here": HERE} | ({"against": against} if against else {})
    times: dict[str, dict[str, list[float]]] = {place: {name: [] for name in STARTS} for place in checkouts}
    knowledge = str(Path(qwen3_rag.__file__).parent / "knowledge")
    with tempfile.TemporaryDirectory() as folder:
        for checkout in checkouts.values():  # also fills the file cache
            seconds([*COMMAND, "ingest", knowledge, "--overwrite", "--server", "none"], folder, checkout)
        for _ in range(repeats):
            for name, command in STARTS.items():
                for place, checkout in checkouts.items():
                    times[place][name].append(seconds(command, folder, checkout))
    least = {place: {name: min(found) for name, found in kinds.items()} for place, kinds in times.items()}
    rows = [[name, *(f"{kinds[name]:.2f}" for kinds in least.values())] for name in STARTS]
    ratio = least["here"][BOTH] / least["here"][CORE]
    print(table(["start", *(f"CPU seconds, {place}" if against else "CPU seconds" for place in checkouts)], rows))
    print(f"\nratio of the first two {ratio:.2f}, {'under' if ratio < BAR else 'NOT under'} {BAR}")
    facts = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "python": platform.python_version()}
    facts |= {"system": f"{platform.system()} {platform.machine()}"}
    used = versions("llama-index-qwen3", "llama-index-core", "torch", "pymilvus", "milvus-lite")
    print(json.dumps({**facts, "versions": used, "repeats": repeats, "cpu_seconds": least, "ratio": ratio, "bar": BAR}))
    return 0 if ratio < BAR else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--against", type=Path, help="another checkout of this project, to compare with")
    options = parser.parse_args()
    sys.exit(main(options.repeats, options.against and options.against.resolve()))
