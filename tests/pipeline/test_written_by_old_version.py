"""What version 0.1 wrote and what was written for it: databases, settings, pickles, caches, dictionaries, code.

`written-by-0.1.zip` was made by 0.1 itself; `names.json` lists the public names of its modules.
"""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from pydantic import SecretStr
from qwen3_rag import ConfigError, PassageParser, RagConfig
from qwen3_rag.cli.program import app
from qwen3_rag.config import load_config
from typer.testing import CliRunner

ARCHIVE = Path(__file__).parents[1] / "data" / "written-by-0.1.zip"
QUESTION = "Why does dough rise?"
MOVED = re.compile(
    r"[\w.]+ (has moved since 0\.1: from [\w.]+ import \w+"
    r"|is not there; CHANGELOG\.md lists what 0\.2 moved and removed)"
)


@pytest.fixture(autouse=True)
def old(lite: str) -> None:
    """Its files, in the current folder."""
    zipfile.ZipFile(ARCHIVE).extractall()


def cli(*arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--uri", "./kb.db", "--embed-model", "tiny"])
    assert done.exit_code == 0, done.output
    return done


def test_a_database_answers_and_goes_on() -> None:
    before = json.loads(Path("search.json").read_text())

    def found() -> list[tuple[str, str, str]]:
        rows = json.loads(cli("search", QUESTION, "--json").stdout)
        assert [row["score"] for row in rows["dense"]] == pytest.approx(
            [row["score"] for row in before["dense"]], abs=1e-5
        )
        return [(row["node_id"], row["source"], row["text"]) for row in rows["dense"]]

    assert found() == [(row["node_id"], row["source"], row["text"]) for row in before["dense"]]
    report = json.loads(cli("ingest", "docs", "--json").stdout.splitlines()[-1])
    assert (report["documents"], report["written"], report["kept"]) == (2, 0, 3), "nothing is embedded again"
    assert [row[1:] for row in found()] == [(row["source"], row["text"]) for row in before["dense"]]
    assert json.loads(cli("show", "docs/bread.md", "--json").stdout)["total"] == 2


def test_every_setting_of_a_file_still_means_the_same() -> None:
    config = load_config(file="config.toml")
    written = tomllib.loads(Path("config.toml").read_text())
    for key, value in written.items():
        found = getattr(config, key)
        assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == value, key
    assert config.model_fields_set == set(written)


def test_a_file_that_nobody_named_says_how_to_name_it() -> None:
    Path("config.toml").rename("qwen3_rag.toml")
    with pytest.raises(ConfigError) as failed:
        load_config()
    assert "\n" not in str(failed.value)
    assert "--config qwen3_rag.toml" in str(failed.value)
    assert load_config(file="qwen3_rag.toml").llm == "qwen3"


@pytest.mark.filterwarnings("ignore:.*has moved since 0.1:DeprecationWarning")
def test_pickles_load_and_compute() -> None:
    def load(name: str) -> Any:
        return pickle.loads(Path(f"{name}.pickle").read_bytes())

    embed_model, rerank, parser, config = map(load, ("embedding", "rerank", "parser", "config"))
    same = Qwen3Embedding("tiny", dimensions=64, query_instruction="Given a question, retrieve recipes")
    assert embed_model.get_query_embedding(QUESTION) == same.get_query_embedding(QUESTION)
    assert embed_model.to_dict() == same.to_dict()
    again = Qwen3Rerank("tiny", top_n=2, score_threshold=0.1)
    assert rerank.rank(QUESTION, ["Yeast makes gas."]) == again.rank(QUESTION, ["Yeast makes gas."])
    assert rerank.to_dict() == again.to_dict()
    text = Document(text=Path("docs/bread.md").read_text(), id_="bread", metadata={"format": "markdown"})
    passages = [
        [node.get_content() for node in one.get_nodes_from_documents([text])] for one in (parser, PassageParser())
    ]
    assert passages[0] == passages[1]
    assert config == RagConfig(embed_model="tiny", batch_size=64), (
        "with the settings that came since, at their defaults"
    )
    assert repr(config.embed_url) == "None"


def test_a_pickle_warns_of_the_names_that_it_holds() -> None:
    with pytest.warns(DeprecationWarning, match=MOVED.pattern):
        pickle.loads(Path("embedding.pickle").read_bytes())


def test_caches_are_read_without_harm() -> None:
    store = SimpleKVStore.from_persist_path("cache.json")
    [(_, entry)] = store.get_all("qwen3_embeddings").items()
    cached = Qwen3Embedding("tiny", dimensions=64, embeddings_cache=store)
    assert cached.get_text_embedding("Bread rises.") == pytest.approx(entry["embedding"], abs=1e-6)
    assert len(store.get_all("qwen3_embeddings")) == 2, "the key says more now, so the vector is computed again"
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), Qwen3Embedding("tiny", dimensions=64)])
    pipeline.load("pipeline")
    [node] = pipeline.run(documents=[Document(text="Bread rises because yeast makes gas.", id_="d")])
    assert len(node.embedding) == 64


MODULES = json.loads(zipfile.ZipFile(ARCHIVE).read("names.json"))
IN_PLACE = {
    ("llama_index.postprocessor.qwen3_rerank.base", "dispatcher"),
    ("qwen3_rag.config", "model_name"),
    ("qwen3_rag.models", "fingerprint"),
}
"""Internal names of modules that stayed: Python's own error names the module."""


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.filterwarnings("ignore:.*has moved since 0.1:DeprecationWarning")
def test_code_finds_its_names_or_reads_where_they_went(module: str) -> None:
    said = []
    for name in MODULES[module]:
        try:
            exec(f"from {module} import {name}", {})
        except ImportError as error:
            said.append((name, str(error)))
    assert [one for one in said if not MOVED.fullmatch(one[1]) and (module, one[0]) not in IN_PLACE] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from qwen3_rag.tools import make_tools", "qwen3_rag.tools.make_tools has moved since 0.1: from qwen3_rag"),
        ("from qwen3_rag.store import open_store", "qwen3_rag.store.open_store has moved since 0.1: from qwen3_rag"),
        ("from qwen3_rag.readers import READERS", "qwen3_rag.readers.READERS is not there; CHANGELOG.md lists"),
        ("from qwen3_inference.checkpoint import tiny_folder", "from qwen3_inference.hub import tiny_folder"),
        ("from qwen3_rag.store import typo", "qwen3_rag.store.typo is not there; CHANGELOG.md lists"),
        ("import qwen3_rag.toolz", "No module named 'qwen3_rag.toolz'"),
    ],
)
def test_in_a_process_of_its_own_one_line_says_what_to_do(line: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-W", "default", "-c", line], capture_output=True, text=True, check=False)
    assert said in done.stderr


def test_nobody_loads_the_old_names_who_does_not_ask_for_them() -> None:
    code = "import sys, qwen3_rag; qwen3_rag.RagConfig; print({'qwen3_rag.moved', 'qwen3_inference'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
