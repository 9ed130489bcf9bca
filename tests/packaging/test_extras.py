"""The plain install is the pair; whatever else is needed names its extra. Missing packages are blocked imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from qwen3_rag.errors import MissingExtraError
from qwen3_rag.extras import EXTRAS, missing_extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WITHOUT = '''
import sys
from importlib.abc import MetaPathFinder

class Without(MetaPathFinder):
    """All other finders, which do not find what is missing."""
    others = list(sys.meta_path)

    def find_spec(self, name, path=None, target=None):
        if any(f"{name}.".startswith(f"{module}.") for module in MISSING):
            return None
        return next((spec for one in self.others if (spec := one.find_spec(name, path, target))), None)

    def find_distributions(self, *args):
        able = [one for one in self.others if hasattr(one, "find_distributions")]
        return (found for one in able for found in one.find_distributions(*args))

sys.meta_path[:] = [Without()]
'''
ALSO_PLAIN = ("yaml",)
"""It comes with the model hub's client as well."""
PAIR_ALONE = tuple(module for modules in EXTRAS.values() for module in modules if module not in ALSO_PLAIN)


def run(missing: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    script = f"MISSING = {missing!r}\n{WITHOUT}\n{code}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_the_pair_works_without_any_extra() -> None:
    code = """
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
import qwen3_conformance, qwen3_rag
texts = ["Tyres need air.", "Yeast makes the dough rise."]
vectors = Qwen3Embedding("tiny", device="cpu").get_text_embedding_batch(texts)
nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in texts]
best = Qwen3Rerank("tiny", device="cpu").postprocess_nodes(nodes, query_str="What makes dough rise?")
print(len(vectors), best[0].text)
"""
    done = run(PAIR_ALONE, code)
    assert done.stdout == "2 Yeast makes the dough rise.\n", done.stderr


@pytest.mark.parametrize("module", EXTRAS["rag"])
def test_the_command_names_the_extra_it_needs(module: str) -> None:
    """Whatever its arguments: it looks at none before."""
    done = run((module,), "sys.argv[1:] = ['search', 'How?']\nfrom qwen3_rag.cli import main\nmain()")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert module in done.stderr
    assert "pip install 'llama-index-qwen3[rag]'" in done.stderr


def test_an_ingest_on_ray_names_the_extra_it_needs() -> None:
    arguments = ["ingest", ".", "--ray", "--uri", "http://127.0.0.1:1", "--embed-model", "tiny"]
    done = run(("ray",), f"sys.argv[1:] = {arguments!r}\nfrom qwen3_rag.cli import main\nmain()")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [
        "error: ray is not installed; it comes with the extra 'ray': pip install 'llama-index-qwen3[ray]'"
    ]


@pytest.mark.parametrize("name", ["RagConfig", "Session", "open_store", "make_llm"])
def test_a_public_name_names_the_extra_it_needs(name: str) -> None:
    done = run(PAIR_ALONE, f"from qwen3_rag import {name}")
    assert done.returncode == 1
    assert "MissingExtraError" in done.stderr.splitlines()[-1]
    assert "pip install 'llama-index-qwen3[rag]'" in done.stderr.splitlines()[-1]


def test_a_module_of_no_extra_is_a_bug() -> None:
    assert missing_extra(ModuleNotFoundError("No module named 'mcpx'", name="mcpx")) is None
    assert missing_extra(ModuleNotFoundError("no name")) is None
    found = missing_extra(ModuleNotFoundError("No module named 'mcp.server'", name="mcp.server"))
    assert isinstance(found, MissingExtraError)
    assert isinstance(found, ImportError)
    assert found.exit_code == 4


def test_every_import_of_the_pipeline_is_of_the_plain_install_or_of_an_extra() -> None:
    plain = {"pydantic", "numpy", "httpx", "tenacity", "platformdirs", "jinja2", "fsspec"}
    plain |= {"llama_index.core", "llama_index.embeddings.qwen3", "llama_index.postprocessor.qwen3_rerank"}
    known = {"qwen3_rag", "qwen3_inference", *plain, *(module for modules in EXTRAS.values() for module in modules)}
    unknown: set[str] = set()
    for path in (ROOT / "pipelines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            unknown |= {
                name
                for name in names
                if name.split(".")[0] not in sys.stdlib_module_names
                and not any(f"{name}.".startswith(f"{module}.") for module in known)
            }
    assert unknown == set()


def test_the_packages_are_where_the_extras_say() -> None:
    def packages(requirements: list[str]) -> set[str]:
        return {re.split("[<>=]", one)[0].lower().replace("_", "-") for one in requirements}

    extras = PROJECT["optional-dependencies"]
    heavy = {"pymilvus", "milvus-lite", "openai", "llama-index-llms-openai", "ir-measures", "typer", "rich"}
    assert packages(PROJECT["dependencies"]) & heavy == set()
    assert packages(extras["rag"]) > heavy
    names = {module.replace("_", "-").replace(".", "-") for module in EXTRAS["rag"]}
    ours = {{"markdown-it": "markdown-it-py", "yaml": "pyyaml"}.get(name, name) for name in names}
    assert ours == packages(extras["rag"])
    assert set(extras) >= {"rag", "serve", "mcp", "ray", "test", "all"}
    assert not any("ray" in one for one in [*extras["all"], *extras["test"]]), "400 MB that few need"
    locked = packages((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    asked = packages([*PROJECT["dependencies"], *extras["rag"], *extras["serve"], *extras["ray"], *extras["test"]])
    assert {name for name in asked - locked if "[" not in name} == set(), "constraints.txt locks every version"
