"""The wheel: what is in it, and that it works beside other LlamaIndex integrations."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from qwen3_inference.hub import tiny_folder

ROOT = Path(__file__).parents[2]
PACKAGES = [
    "llama_index/embeddings/qwen3",
    "llama_index/postprocessor/qwen3_rerank",
    "qwen3_conformance",
    "qwen3_inference",
    "qwen3_rag",
]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is not installed; it is part of the test extra")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """The wheel's contents in a folder of their own, to be put on PYTHONPATH before everything else."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)  # what an installer does with a pure-Python wheel
    return folder


def run(installed: Path, code: str) -> str:
    # -P: not the current folder; the installed copy comes before the checkout of an editable install.
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(installed)},
        capture_output=True,
        text=True,
        cwd=installed,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_namespace_folders_shared_with_core_have_no_init(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("llama_index", "llama_index/embeddings", "llama_index/postprocessor"):
        assert f"{folder}/__init__.py" not in names, "an __init__.py here hides llama_index.core"
        assert not (ROOT / "integrations" / folder / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_there_and_typed(wheel, package):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names


def test_every_source_file_is_in_the_wheel_and_nothing_of_the_workshop(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for root in ("integrations", "pipelines"):
        kinds = ("*.py", "pages/templates/*", "pages/assets/*", "knowledge/*")
        sources = {str(path.relative_to(ROOT / root)) for kind in kinds for path in (ROOT / root).rglob(kind)}
        assert sources <= names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {package.split("/")[0] for package in PACKAGES}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".db"))]


def test_the_bundled_pair_is_in_the_wheel(wheel):
    if not (tiny_folder("embedding") / "config.json").is_file():
        pytest.skip("the bundled pair is not in this checkout")
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("embedding", "reranker"):
        for file in ("config.json", "model.safetensors", "tokenizer.json"):
            assert f"qwen3_inference/tiny/{kind}/{file}" in names


def test_the_pages_are_made_from_the_wheel(installed):
    code = (
        "from qwen3_rag.pages.comparison import comparison_page\n"
        "from qwen3_rag.query.rows import Row, SearchResult\n"
        "row = Row(rank=1, score=0.5, text='Yeast & dough', source='bread.md', node_id='1')\n"
        "print(comparison_page(SearchResult(query='dough?', dense=[row], reranked=None)))"
    )
    page = run(installed, code)
    assert "Yeast &amp; <mark>dough</mark>" in page
    assert "<style>:root" in page


def test_the_metadata_names_the_command_the_licence_and_the_python(wheel):
    files = zipfile.ZipFile(wheel)
    [folder] = {name.split("/")[0] for name in files.namelist() if ".dist-info/" in name}
    assert "qwen3-rag = qwen3_rag.cli:main" in files.read(f"{folder}/entry_points.txt").decode()
    metadata = files.read(f"{folder}/METADATA").decode()
    for line in ("Name: llama-index-qwen3", "License-Expression: Apache-2.0", "Requires-Python: <4.0,>=3.11"):
        assert line in metadata
    assert f"{folder}/licenses/LICENSE" in files.namelist()


def test_the_installed_pair_works_beside_other_integrations(installed):
    """OpenAI's language model and Milvus's store are dependencies, so there always are two to be beside."""
    code = """
import json, llama_index.core
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from llama_index.vector_stores.milvus import MilvusVectorStore
try:
    from llama_index.embeddings.openai import OpenAIEmbedding  # shares the folder llama_index/embeddings with ours
except ModuleNotFoundError:
    pass
import llama_index.embeddings.qwen3, qwen3_inference, qwen3_rag, qwen3_conformance
print(json.dumps([module.__file__ for module in (
    llama_index.embeddings.qwen3, qwen3_inference, qwen3_rag, qwen3_conformance)]))
"""
    origins = json.loads(run(installed, code).splitlines()[-1])
    assert all(origin.startswith(str(installed)) for origin in origins), "the checkout was imported, not the wheel"


@pytest.fixture(scope="module")
def imported(installed) -> set[str]:
    """The modules of a process that imported both classes and made one of each."""
    code = (
        "import sys\n"
        "from llama_index.embeddings.qwen3 import Qwen3Embedding\n"
        "from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank\n"
        "Qwen3Embedding(), Qwen3Rerank()\n"
        "print(*sys.modules)"
    )
    return set(run(installed, code).split())


@pytest.mark.parametrize("heavy", ["torch", "transformers", "sentence_transformers", "pymilvus"])
def test_importing_both_classes_imports_nothing_heavy(imported, heavy):
    assert "llama_index.embeddings.qwen3" in imported
    assert heavy not in imported


def test_the_inference_package_does_not_import_llama_index(installed):
    assert (
        run(installed, "import sys, qwen3_inference; print('llama_index' in str(list(sys.modules)))").strip() == "False"
    )


def test_llama_hub_finds_the_class():
    import tomllib

    hub = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["llamahub"]
    module = __import__(hub["import_path"], fromlist=["*"])
    assert all(hasattr(module, name) for name in hub["class_authors"])
