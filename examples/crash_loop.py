"""Kill an ingest with SIGKILL again and again, for as long as you like, and check what is left after each repair.

    python examples/crash_loop.py --kills 100

Each round changes the sources, starts `qwen3-rag ingest --prune` in a process of its own, kills it up to a second
after its first write, starts it again to the end, and compares the passages with those of a fresh database. Any
difference ends the loop.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from pymilvus import MilvusClient
from qwen3_rag.store.connect import release_lite

COMMAND = [sys.executable, "-m", "qwen3_rag.cli", "ingest", "docs", "--prune", "--quiet", "--batch-size", "2"]


def change_sources(folder: Path, chance: random.Random, files: int) -> None:
    """Write, rewrite or remove about a third of the files."""
    for number in range(files):
        path = folder / f"{number:03}.md"
        move = chance.random()
        if move < 0.1 and path.exists():
            path.unlink()
        elif move < 0.35 or not any(folder.iterdir()):
            parts = range(chance.randrange(1, 6))
            path.write_text("".join(f"# Part {part}\n\ntext {chance.randrange(50)} of {part}\n\n" for part in parts))


def held(uri: Path) -> list[tuple[str, str]]:
    """(id, text) of every row."""
    if not uri.exists():
        return []
    client = MilvusClient(str(uri))
    try:
        if not client.has_collection("docs") or not client.list_indexes("docs"):
            return []
        client.load_collection("docs")
        rows = client.query("docs", filter="", output_fields=["id", "text"], limit=16_384)
        return sorted((row["id"], row["text"]) for row in rows)
    finally:
        client.close()
        release_lite(str(uri))


def size(uri: Path) -> int:
    """Bytes of a database's files; some may vanish meanwhile."""
    total = 0
    for path in uri.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def ingest(work: Path, uri: Path, model: str, kill_after: float | None = None) -> bool:
    """Run the command line; True when it was killed before its end."""
    child = subprocess.Popen([*COMMAND, "--uri", str(uri), "--embed-model", model], cwd=work)
    if kill_after is not None:
        before = size(uri)
        while size(uri) == before and child.poll() is None:  # most of the time goes into starting: wait for writes
            time.sleep(0.005)
        time.sleep(kill_after)
        child.send_signal(signal.SIGKILL)
    code = child.wait()
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"ingest ended with exit code {code}")
    return code != 0


def main(kills: int, files: int, model: str, seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        work, done = Path(scratch), 0
        (work / "docs").mkdir()
        change_sources(work / "docs", chance, files)
        while done < kills:
            change_sources(work / "docs", chance, files)
            while ingest(work, work / "a.db", model, kill_after=chance.uniform(0, 1)):
                done += 1
                rows = held(work / "a.db")
                print(f"kill {done}: {len(rows)} passages, {len(rows) - len(dict(rows))} duplicates", flush=True)
                if done >= kills or chance.random() < 0.5:
                    break
            ingest(work, work / "a.db", model)
            fresh = work / f"fresh-{done}.db"
            ingest(work, fresh, model)
            if held(work / "a.db") != held(fresh):
                raise SystemExit(f"seed {seed}: after {done} kills the passages differ from a fresh ingest's")
        print(json.dumps({"kills": done, "passages": len(held(work / "a.db")), "seed": seed, "differences": 0}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--embed-model", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.kills, arguments.files, arguments.embed_model, arguments.seed)
