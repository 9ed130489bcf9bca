"""`--dry-run`: what an ingest would cost, measured, with nothing written; and what `--ray` refuses at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qwen3_rag.cli.program import app
from qwen3_rag.cli.scaling import IMPORT_ABOVE as SHOWN_IMPORT_ABOVE
from qwen3_rag.cli.scaling import SHARD_SIZE as SHOWN_SHARD_SIZE
from qwen3_rag.config import RagConfig
from qwen3_rag.scale.estimate import estimate_files
from qwen3_rag.scale.plan import IMPORT_ABOVE, SHARD_SIZE
from qwen3_rag.scale.settings import Embedder, Settings
from support.hashing import IDENTITY, HashingEmbedding
from typer.testing import CliRunner

from .conftest import write
from .test_scale import DOCS, locally

HASHING = Settings(embedder=Embedder(IDENTITY, HashingEmbedding))


@pytest.fixture
def config(backend: str, request: pytest.FixtureRequest) -> RagConfig:
    return RagConfig(uri=backend, collection=f"e{abs(hash(request.node.nodeid)):x}", embed_model="tiny")


def test_counts_are_those_of_the_ingest_and_nothing_is_written(config: RagConfig, tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", dict(DOCS))
    found = estimate_files([folder], config, HASHING)
    assert not Path(config.uri).exists()
    report, model = locally(config, [folder])
    assert (found.documents, found.passages, found.kept) == (report.documents, report.written, 0)
    assert sorted(found.skipped) == sorted(report.skipped)
    assert found.vector_bytes == {"64": {"FLOAT_VECTOR": 256 * report.written, "FLOAT16_VECTOR": 128 * report.written}}
    assert found.row_bytes > sum(len(text.encode()) for text in model.embedded)
    assert found.tokens > 1_000
    write(folder, {"1.md": "# Changed\n\none\n", "new.md": "another"})
    later = estimate_files([folder], config, HASHING)
    again, model = locally(config, [folder])
    assert later.passages - later.kept == again.written == len(model.embedded) == 2
    assert estimate_files([folder], config, HASHING).kept == again.written + again.kept


def test_hours_are_tokens_at_the_measured_rate(lite: str, tmp_path: Path) -> None:
    texts = {f"{n}.txt": " ".join(f"word{n * i % 97}" for i in range(120)) for n in range(400)}
    folder = write(tmp_path / "docs", dict(texts))
    config = RagConfig(uri=lite, embed_model="tiny", device="cpu")
    one = estimate_files([folder], config)
    assert one.hours == pytest.approx(one.tokens / one.tokens_per_second / 3600)
    assert one.passages_per_second == pytest.approx(one.tokens_per_second * 400 / one.tokens)
    from qwen3_inference.local.checkpoint import open_checkpoint
    from qwen3_inference.tokenization import PromptTokenizer

    exact = sum(map(len, PromptTokenizer(open_checkpoint("tiny", "embedding").folder).encode(list(texts.values()))))
    assert one.tokens == pytest.approx(exact, rel=0.05), "a sample stands for all"
    four = estimate_files([folder], config, workers=4)
    assert four.hours == pytest.approx(four.tokens / four.tokens_per_second / 3600 / 4)
    assert not Path(lite).exists()


def test_the_command_says_passages_hours_and_bytes(lite: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", {"a.md": "# A\n\none\n", "bad.txt": b"\xff\x00\x01"})
    command = ["ingest", str(folder), "--dry-run", "--uri", lite, "--embed-model", "tiny"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 3
    assert "1 documents, 1 passages: 0 are there, 1 to embed" in shown.stdout
    assert "256 dimensions: 1.0 kB as FLOAT_VECTOR, 512 B as FLOAT16_VECTOR" in shown.stdout
    assert "skipped docs/bad.txt" in shown.stderr
    as_json = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert as_json["passages"] == 1
    assert as_json["vector_bytes"] == {"256": {"FLOAT_VECTOR": 1024, "FLOAT16_VECTOR": 512}}
    assert not Path(lite).exists()


def test_the_defaults_that_help_shows_are_those_of_the_library() -> None:
    assert (SHOWN_SHARD_SIZE, SHOWN_IMPORT_ABOVE) == (SHARD_SIZE, IMPORT_ABOVE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ray-workers", "2"], "--ray-workers goes with --ray"),
        (["--work-dir", "x"], "--work-dir goes with --ray"),
        (["--import-to", "s3://b/x"], "--import-to goes with --ray"),
        (["--ray", "--watch"], "--watch and --ray do not go together"),
        (["--dry-run", "s3://bucket/corpus"], "--dry-run reads local files"),
        (["s3://bucket/corpus"], "is read with --ray"),
    ],
)
def test_options_that_nothing_would_obey_are_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    folder = write(tmp_path / "docs", {"a.md": "x"})
    done = CliRunner().invoke(app, ["ingest", str(folder), *arguments, "--uri", "x.db", "--embed-model", "tiny"])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert not Path("x.db").exists()
