"""Mutation testing of what cuts passages, writes them and computes statistics: a seeded sample, and a report of it.

    pip install 'mutmut>=3.8'
    python .ci/mutation.py --each 150 --seed 1 --work /tmp/mutation

What was done stays in the work folder: a run that was stopped goes on there, and those that live are tried again, with
the tests as they are then. mutmut finds packages at the root or below `src/`, so the sources are copied to such a
layout; each mutant meets the tests that run its function.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "tests" / "MUTATION.md"
MODULES = {
    "splitting": ["documents/chunking", "documents/sentences", "documents/blocks"],
    "writing": ["ingestion/writer", "ingestion/batches", "store/catalog"],
    "statistics": ["evaluation/significance", "evaluation/metrics"],
}
TESTS = ["blocks", "chunking", "headings", "rst", "batches", "catalog", "cuts", "ingest", "roots", "sync", "upgrade"]
TESTS += ["significance", "evaluate"]
LEFT_OUT = "not server and not cranfield and not cisi and not linear and not faq"
"""Tests that would be run for each mutant and take seconds; a database behind gRPC shows nothing that Lite does not."""
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {modules}
pytest_add_cli_args = ["-o", "addopts=", "-p", "no:cacheprovider", "-k", "{left_out}", "--hypothesis-profile=quick"]
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
timeout_multiplier = 1.0
timeout_constant = 5.0
"""
KILLED = ("killed", "timeout", "segfault")


def prepare(work: Path) -> None:
    """The sources below src/, the tests beside them."""
    for folder in ("pipelines", "integrations"):
        shutil.copytree(ROOT / folder, work / "src", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", work / "tests", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    modules = [f"src/qwen3_rag/{name}.py" for names in MODULES.values() for name in names]
    tests = [f"tests/pipeline/test_{name}.py" for name in TESTS]
    config = CONFIG.format(modules=modules, left_out=LEFT_OUT, tests=tests)
    (work / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + config)


def mutmut(work: Path, *arguments: str, shown: bool = False, check: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(work / "mutants" / "src"), "OMP_NUM_THREADS": "1"},
        stdout=None if shown else subprocess.PIPE,
        text=True,
        check=check,
    )
    return done.stdout or ""


def results(work: Path) -> dict[str, str]:
    """The state of each mutant by its name."""
    lines = mutmut(work, "results", "--all", "true").splitlines()
    return dict(line.strip().rsplit(": ", 1) for line in lines if "__mutmut_" in line)


def kind_of(mutant: str) -> str:
    module = mutant.rpartition(".")[0].removeprefix("qwen3_rag.").replace(".", "/")
    return next(kind for kind, modules in MODULES.items() if module in modules)


def change(work: Path, mutant: str) -> tuple[str, str]:
    """The lines that a mutant takes out and puts in."""
    lines = mutmut(work, "show", mutant).splitlines()
    return tuple(  # type: ignore[return-value]
        " ".join(
            re.sub(r"__mutmut_\w+", "", line[1:]).strip() for line in lines if re.match(rf"\{sign}(?!\{sign})", line)
        )
        for sign in "-+"
    )


def reasons() -> dict[tuple[str, str], str]:
    """Why a change can live, by its lines, as the report of the last time says it."""
    if not REPORT.exists():
        return {}
    rows = re.findall(r"^\| `\S+` \| `(.*)` \| `(.*)` \| (.*) \|$", REPORT.read_text(), re.M)
    return {(old, new): why for old, new, why in rows}


def drawn(mutants: list[str], each: int, seed: int) -> list[str]:
    """So many of each kind at random; more of them begin with the same ones."""
    order = random.Random(seed).sample(sorted(mutants), len(mutants))
    return sorted(one for kind in MODULES for one in [name for name in order if kind_of(name) == kind][:each])


def report(work: Path, sample: list[str], of: int, options: str) -> str:
    found = results(work)
    known = reasons()
    lines = [
        "# Mutation testing",
        "",
        f"Made by `.ci/mutation.py {options}` with mutmut: {len(sample)} of {of} mutants, drawn at",
        "random. A mutant is killed when a test fails or never ends with it. Functions that have a decorator are not",
        "changed, nor is what stands outside of functions.",
        "",
        "| | modules | mutants | killed | live | score |",
        "|---|---|---|---|---|---|",
    ]
    for kind, modules in MODULES.items():
        states = Counter(found[one] for one in sample if kind_of(one) == kind)
        killed, total = sum(states[one] for one in KILLED), sum(states.values())
        named = ", ".join(f"`{one}`" for one in modules)
        score = f"{killed / max(total, 1):.1%}"
        lines.append(f"| {kind} | {named} | {total} | {killed} | {total - killed} | {score} |")
    lines += ["", "## Those that live", "", "| module | line | with the change | why |", "|---|---|---|---|"]
    for mutant in sample:
        if found[mutant] not in KILLED:
            old, new = (text.replace("|", "\\|") for text in change(work, mutant))
            module = mutant.rpartition(".")[0].rpartition(".")[2]
            why = known.get((old, new), f"**not explained** ({found[mutant]})")
            lines.append(f"| `{module}` | `{old}` | `{new}` | {why} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the copy and for what was done")
    parser.add_argument("--each", type=int, default=10_000, help="mutants of each kind that are tried")
    parser.add_argument("--report", type=Path, default=REPORT, help="the file to write")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    options = parser.parse_args()
    work = options.work.absolute()
    is_new = not (work / "pyproject.toml").exists()
    # Python does not look again at folders that it began without.
    (work / "mutants" / "src").mkdir(parents=True, exist_ok=True)
    prepare(work)
    if is_new:
        # The mutants, and which test runs which function; it ends by saying that nothing has this name.
        mutmut(work, "run", "--max-children", "1", "none*", shown=True, check=False)
    found = results(work)
    sample = drawn(list(found), options.each, options.seed)
    left = [one for one in sample if found[one] not in KILLED]
    if left:
        mutmut(work, "run", "--max-children", "1", *left, shown=True)
    options.report.write_text(report(work, sample, len(found), f"--each {options.each} --seed {options.seed}"))


if __name__ == "__main__":
    main()
