"""The ingest on a Ray of this machine: equal to one process, whatever dies.

pip install -c constraints.txt -e '.[test,ray]' && pytest -m servers tests/servers/test_ray.py
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -c constraints.txt -e '.[ray]'")

from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.models import load_models
from qwen3_rag.scale.corpora import ingest_corpus, ingest_dataset
from qwen3_rag.scale.files import ingest_files
from qwen3_rag.scale.plan import Importing
from qwen3_rag.scale.ray_engine import RayEngine
from qwen3_rag.scale.settings import Embedder, Settings
from qwen3_rag.store.catalog import open_catalog
from qwen3_rag.store.opening import drop_collection, open_store
from support.hashing import IDENTITY, HashingEmbedding
from support.import_service import ImportService
from support.milvus import MilvusServer
from support.ray_cluster import STORE, batches, local_ray, told
from support.servers import milvus_lite_server
from typer.testing import CliRunner

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # Ray's own, and its threads'
]


@pytest.fixture(scope="module")
def lite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_lite_server(tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    running = MilvusServer(tmp_path_factory.mktemp("milvus"))
    yield running.start()
    running.stop()


@pytest.fixture(params=["lite_server", "real_server"])
def config(request: pytest.FixtureRequest) -> Iterator[RagConfig]:
    uri = request.getfixturevalue(request.param)
    made = RagConfig(uri=uri, collection=f"r{abs(hash(request.node.nodeid)):x}", embed_model="tiny", device="cpu")
    yield made
    drop_collection(made)


@pytest.fixture
def lite(lite_server: str, request: pytest.FixtureRequest) -> RagConfig:
    name = f"r{abs(hash(request.node.nodeid)):x}"
    return RagConfig(uri=lite_server, collection=name, embed_model="tiny", device="cpu")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with local_ray() as found:
        yield found


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i}.md").write_text("".join(f"# H{j}\n\nfile {i} part {j} of words\n\n" for j in range(5)))
    (folder / "empty.md").write_text("")
    return folder


@pytest.fixture
def told_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "batches"
    folder.mkdir()
    return folder


def slow(tmp_path: Path, told_folder: Path, seconds: float = 0.3) -> Settings:
    """Ten shards of 20 passages, whose embedding takes its time and is told."""
    return Settings(str(tmp_path / "work"), 20, embedder=Embedder(IDENTITY, partial(told, str(told_folder), seconds)))


def contents(config: RagConfig) -> tuple[list[dict[str, Any]], list[str]]:
    """Every row with its vector, by id, and every record of the catalog."""
    store = open_store(config, None)
    rows = store.client.query(
        config.collection, filter="", output_fields=["*"], limit=16_384, consistency_level="Strong"
    )
    catalog = open_catalog(store.client, config.collection, store.uid)
    entries = catalog.get([name for name, _ in catalog.counts()]).values()
    store.client.close()
    return sorted(map(dict, rows), key=lambda row: str(row["id"])), sorted(map(repr, entries))


def check(config: RagConfig, docs: Path, tmp_path: Path) -> None:
    """What one process makes of the folder, with the same hashing model."""
    local = RagConfig(uri=str(tmp_path / "local.db"), embed_model="tiny")
    store = open_store(local, IDENTITY, create=True)
    ingest([docs], store=store, embed_model=HashingEmbedding())
    store.close()
    rows, records = contents(config)
    expected, expected_records = contents(local)
    assert records == expected_records
    assert len({row["id"] for row in rows}) == len(rows)
    for row, one in zip(rows, expected, strict=True):
        assert [float(value) for value in row.pop("embedding")] == pytest.approx(one.pop("embedding"), abs=1e-6)
        assert row == one


def test_two_actors_and_one_writer_with_the_bundled_model(
    ray: Any, config: RagConfig, docs: Path, tmp_path: Path
) -> None:
    settings = Settings(str(tmp_path / "work"), 20)
    report = ingest_files([docs], config, RayEngine(workers=2), settings)
    assert (report.written, report.skipped) == (200, [("docs/empty.md", "empty")])
    models = load_models(RagConfig(embed_model="tiny", device="cpu"), rerank=False)
    local = RagConfig(uri=str(tmp_path / "local.db"), embed_model="tiny")
    store = open_store(local, models.identity, create=True)
    ingest([docs], store=store, embed_model=models.embed)
    store.close()
    rows, records = contents(config)
    expected, expected_records = contents(local)
    assert records == expected_records
    for row, one in zip(rows, expected, strict=True):
        assert [float(value) for value in row.pop("embedding")] == pytest.approx(one.pop("embedding"), abs=1e-5)
        assert row == one
    again = ingest_files([docs], config, RayEngine(workers=2), settings, prune=True)
    assert (again.unchanged, again.written, again.deleted) == (40, 0, 0)
    (docs / "3.md").unlink()
    (docs / "4.md").write_text("# New\n\nwords\n")
    again = ingest_files([docs], config, RayEngine(workers=2), settings, prune=True)
    assert (again.written, again.deleted, again.pruned, again.unchanged) == (1, 10, 1, 38)


def wait_for(found: Callable[[], Any], seconds: float = 400) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def test_an_actor_that_is_killed(ray: Any, lite: RagConfig, docs: Path, tmp_path: Path, told_folder: Path) -> None:
    def kill() -> None:
        process, _ = wait_for(lambda: batches(told_folder)[2:])[0]
        os.kill(process, signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    report = ingest_files([docs], lite, RayEngine(workers=2), slow(tmp_path, told_folder))
    killer.join()
    assert report.written == 200
    assert len({process for process, _ in batches(told_folder)}) == 3, "one took the place of another"
    assert len(batches(told_folder)) <= 12, "no more than what it had in hand was embedded again"
    check(lite, docs, tmp_path)


def test_a_node_that_is_removed(lite: RagConfig, docs: Path, tmp_path: Path, told_folder: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    options = {"object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **options})
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        ray.init(address=cluster.address, logging_level=50, log_to_driver=False)

        def remove() -> None:
            wait_for(lambda: len({process for process, _ in batches(told_folder)}) == 2 and batches(told_folder)[3:])
            cluster.remove_node(second, allow_graceful=False)
            cluster.add_node(num_cpus=1, object_store_memory=STORE)

        remover = Thread(target=remove)
        remover.start()
        report = ingest_files([docs], lite, RayEngine(workers=2), slow(tmp_path, told_folder))
        remover.join()
        assert report.written == 200
        check(lite, docs, tmp_path)
    finally:
        ray.shutdown()
        cluster.shutdown()


CHILD = Path(__file__).parents[1] / "support" / "ray_ingest.py"


def test_a_driver_that_is_killed_and_started_again(
    lite: RagConfig, docs: Path, tmp_path: Path, told_folder: Path
) -> None:
    command = [
        sys.executable,
        str(CHILD),
        lite.uri,
        lite.collection,
        str(docs),
        str(tmp_path / "work"),
        str(told_folder),
    ]
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)
    wait_for(lambda: batches(told_folder)[4:] or child.poll() is not None)
    assert child.poll() is None, (tmp_path / "log").read_text()
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    before = sum(len(texts) for _, texts in batches(told_folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    embedded = sum(len(texts) for _, texts in batches(told_folder))
    assert before < 200
    assert embedded <= 200 + 60, "only what was in hand is embedded again"
    check(lite, docs, tmp_path)


def test_shards_by_bulk_import(ray: Any, lite: RagConfig, docs: Path, tmp_path: Path, told_folder: Path) -> None:
    with ImportService(lite.uri, knows_keys=False, faults=["lost", "refused"]) as service:
        importing = Importing(str(tmp_path / "bucket"), service.url, 0)
        base = slow(tmp_path, told_folder, 0)
        settings = Settings(base.work, 20, importing, embedder=base.embedder)
        report = ingest_files([docs], lite, RayEngine(workers=2), settings)
        assert report.written == service.imported.total() == 200
        assert set(service.imported.values()) == {1}
    check(lite, docs, tmp_path)


def corpus(folder: Path, rows: range) -> Path:
    lines = ({"_id": f"d{n}", "title": f"T{n}", "text": f"words of {n}", "year": 2000 + n} for n in rows)
    folder.mkdir(exist_ok=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_corpus_by_its_address_is_that_of_its_file(
    ray: Any, lite: RagConfig, tmp_path: Path, told_folder: Path
) -> None:
    folder = corpus(tmp_path / "beir", range(100))
    settings = slow(tmp_path, told_folder, 0)
    url = f"file://{folder}/corpus.jsonl"
    report = ingest_corpus(url, lite, RayEngine(workers=1), settings)
    assert (report.documents, report.written) == (100, 100)
    corpus(folder, range(1, 101))
    report = ingest_corpus(url, lite, RayEngine(workers=1), settings, prune=True)
    assert (report.unchanged, report.written, report.pruned) == (99, 1, 1)
    rows, _ = contents(lite)
    assert rows[0]["doc_id"].startswith("beir/corpus.jsonl#d")


def test_a_dataset_of_any_kind(ray: Any, lite: RagConfig, tmp_path: Path, told_folder: Path) -> None:
    from qwen3_rag.scale.cutting import Columns

    rows = [{"key": n, "body": f"words of {n}", "year": 2000 + n} for n in range(60)]
    dataset = ray.data.from_items(rows, override_num_blocks=4)
    columns = Columns(id="key", text="body", metadata=("year",))
    settings = slow(tmp_path, told_folder, 0)
    report = ingest_dataset(dataset, lite, RayEngine(workers=1), settings, name="years", columns=columns)
    assert (report.documents, report.written) == (60, 60)
    found, _ = contents(lite)
    assert {(row["doc_id"], row["year"]) for row in found} == {(f"years#{n}", 2000 + n) for n in range(60)}
    twice = dataset.union(ray.data.from_items(rows[:1]))
    with pytest.raises(ConfigError, match="1 names stand for several documents, 'years#0'"):
        ingest_dataset(twice, lite, RayEngine(workers=1), settings, name="years", columns=columns)
    with pytest.raises(ConfigError, match="has the columns key, body, year, and not '_id'"):
        ingest_dataset(dataset, lite, RayEngine(workers=1), settings, name="years")


def test_the_command(ray: Any, lite: RagConfig, docs: Path, tmp_path: Path) -> None:
    base = ["ingest", "--ray", "--ray-workers", "2", "--uri", lite.uri, "--collection", lite.collection]
    base += ["--embed-model", "tiny", "--device", "cpu", "--work-dir", str(tmp_path / "work"), "--json"]
    done = CliRunner().invoke(app, [*base, str(docs)])
    assert done.exit_code == 3, "the empty file is named"
    assert json.loads(done.stdout)["written"] == 200
    url = f"file://{corpus(tmp_path / 'beir', range(10))}/corpus.jsonl"
    done = CliRunner().invoke(app, [*base, url, "--name", "books"])
    assert (done.exit_code, json.loads(done.stdout)["written"]) == (0, 10)
    done = CliRunner().invoke(app, [*base, str(docs), "--ray-workers", "3"])
    assert (done.exit_code, "3 workers need a core each" in done.stderr) == (3, False), "nothing is to be embedded"


def test_errors_of_actors_are_told_as_those_of_this_process(
    ray: Any, lite: RagConfig, docs: Path, tmp_path: Path
) -> None:
    settings = Settings(str(tmp_path / "work"), 20, embedder=Embedder(IDENTITY, partial(HashingEmbedding, 32)))
    with pytest.raises(ConfigError, match="gives 32 dimensions, the collection has 64"):
        ingest_files([docs], lite, RayEngine(workers=1), settings)
    with pytest.raises(ConfigError, match="3 workers need a core each, and the cluster has 2"):
        ingest_files([docs], lite, RayEngine(workers=3), settings)
    report = ingest_files([docs], lite, RayEngine(workers=1), slow_again(settings))
    assert isinstance(report, IngestReport)
    assert report.written == 200


def slow_again(settings: Settings) -> Settings:
    return Settings(settings.work, 20, embedder=Embedder(IDENTITY, HashingEmbedding))


def test_no_cluster_at_the_address(lite: RagConfig, docs: Path) -> None:
    import ray

    ray.shutdown()
    started = time.monotonic()
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1:99999"):
        with pytest.raises(UnavailableError, match=f"no Ray cluster at {re.escape(address)}: .*; check --ray-address"):
            ingest_files([docs], lite, RayEngine(address), Settings(embedder=Embedder(IDENTITY, HashingEmbedding)))
    assert time.monotonic() - started < 30, "Ray itself waits for minutes"


def test_the_benchmark_compares_both_ways() -> None:
    script = Path(__file__).parents[2] / "examples" / "benchmarks" / "ray_ingest.py"
    command = [sys.executable, str(script), "--passages", "300", "--shard-size", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ray, 2 workers"]["written"] == found["one process"]["written"] == 300
    assert found["ray, 2 workers"]["mib_at_100_percent"] > 0
