"""Bulk import against a service that speaks Milvus' protocol and loses answers: every row arrives once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.scale import bulk_import
from qwen3_rag.scale.files import ingest_files
from qwen3_rag.scale.folder import Folder
from qwen3_rag.scale.manifest import Manifest
from qwen3_rag.scale.plan import Importing, in_process
from qwen3_rag.scale.settings import Embedder, Settings
from support.hashing import IDENTITY, HashingEmbedding
from support.import_service import ImportService

from .conftest import write
from .test_crash import Faults, Killed
from .test_scale import DOCS, compared, config, contents, locally, other

__all__ = ["config"]  # the fixture


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after milliseconds."""
    monkeypatch.setattr(bulk_import, "_FIRST_WAIT", 0.002)
    monkeypatch.setattr(bulk_import, "_LAST_WAIT", 0.005)
    monkeypatch.setattr(bulk_import, "_REFRESH", 0.2)  # Milvus Lite's server never says that it has


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", {name: DOCS[name] for name in ("0.md", "1.md", "2.md", "3.md", "empty.md")})


def settings_for(service: ImportService, tmp_path: Path, above: int = 0) -> Settings:
    importing = Importing(str(tmp_path / "bucket"), service.url, above)
    return Settings(str(tmp_path / "shards"), 7, importing, embedder=Embedder(IDENTITY, HashingEmbedding))


def check_once(service: ImportService, config: RagConfig, folder: Path) -> None:
    """Every row of the folder is there as a local ingest writes it, and was imported no more than once."""
    locally(other(config), [folder])
    rows, records = contents(other(config))
    assert contents(config) == (rows, records)
    assert set(service.imported.values()) == {1}


@pytest.mark.parametrize("knows_keys", [True, False], ids=["keys", "older server"])
@pytest.mark.parametrize(
    "faults",
    [[], ["lost"], ["refused", "lost", "garbled"], ["lost"] * 5, ["garbled", "refused"] * 2],
    ids=lambda faults: "-".join(faults) or "none",
)
def test_lost_answers_import_nothing_twice(
    config: RagConfig, folder: Path, tmp_path: Path, faults: list[Any], knows_keys: bool
) -> None:
    with ImportService(config.uri, knows_keys, list(faults)) as service:
        report = ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        check_once(service, config, folder)
        assert report.written == service.imported.total() == 16
        assert len(service.jobs) == len({job.file for job in service.jobs}), "a job a file"
        assert Folder(str(tmp_path / "bucket")).names("") == [], "files that are in are taken away"
        again = ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        assert (again.written, again.unchanged) == (0, report.documents)
        assert report.written == service.imported.total()


def test_the_report_is_that_of_an_ingest(config: RagConfig, folder: Path, tmp_path: Path) -> None:
    with ImportService(config.uri) as service:
        report = ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        local, _ = locally(other(config), [folder])
        assert compared(report) == compared(local)
        write(folder, {"1.md": str(DOCS["1.md"]).replace("text 1 2", "changed"), "new.md": "new"})
        report = ingest_files([folder], config, in_process, settings_for(service, tmp_path), prune=True)
        local, _ = locally(other(config), [folder], prune=True)
        assert compared(report) == compared(local)
        check_once(service, config, folder)
        assert report.written == 2, "what changed is imported, and what it replaces deleted"


def test_few_passages_are_written_as_rows(config: RagConfig, folder: Path, tmp_path: Path) -> None:
    with ImportService(config.uri) as service:
        report = ingest_files([folder], config, in_process, settings_for(service, tmp_path, above=1_000))
        assert (report.written, service.calls) == (16, {})


def at_import(call: Callable[[Manifest, int], None]) -> pytest.MonkeyPatch:
    """Calls with each manifest that is recorded while an import is under way, and how many those were before."""
    patch = pytest.MonkeyPatch()
    original, seen = Manifest.save, [0]

    def save(self: Manifest, work: Folder) -> Manifest:
        saved = original(self, work)
        if self.state == "importing":
            seen[0] += 1
            call(self, seen[0] - 1)
        return saved

    patch.setattr(Manifest, "save", save)
    return patch


@pytest.mark.parametrize("knows_keys", [True, False], ids=["keys", "older server"])
@pytest.mark.parametrize("ends", [False, True], ids=["under way", "ended meanwhile"])
@pytest.mark.parametrize("stop", range(4))
def test_killed_while_milvus_imports(
    config: RagConfig, folder: Path, tmp_path: Path, stop: int, ends: bool, knows_keys: bool
) -> None:
    """Even stops: the import may have been asked for and was not; odd ones: it was, and its job is known."""

    def kill(_: Manifest, number: int) -> None:
        if number == stop:
            raise Killed

    with ImportService(config.uri, knows_keys, looks=2) as service:
        patch = at_import(kill)
        with patch.context(), pytest.raises(Killed):
            ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        patch.undo()
        if ends:
            service.finish()
        write(folder, {"0.md": "# changed while it was dead\n\nwords\n"})
        ingest_files([folder], config, in_process, settings_for(service, tmp_path), prune=True)
        check_once(service, config, folder)


@pytest.mark.parametrize("knows_keys", [True, False], ids=["keys", "older server"])
def test_killed_after_the_call_and_before_its_answer(
    config: RagConfig, folder: Path, tmp_path: Path, knows_keys: bool
) -> None:
    faults = Faults(1, after=True)
    with ImportService(config.uri, knows_keys) as service:
        original = bulk_import.BulkImport._post

        def post(self: Any, what: str, *args: Any) -> Any:
            return faults.around(original, self, what, *args) if what == "create" else original(self, what, *args)

        patch = pytest.MonkeyPatch()
        patch.setattr(bulk_import.BulkImport, "_post", post)
        with patch.context(), pytest.raises(Killed):
            ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        patch.undo()
        ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        check_once(service, config, folder)
        assert len(service.jobs) == len({job.file for job in service.jobs})


@pytest.mark.parametrize("knows_keys", [True, False], ids=["keys", "older server"])
def test_a_job_that_failed_is_tried_anew(config: RagConfig, folder: Path, tmp_path: Path, knows_keys: bool) -> None:
    with ImportService(config.uri, knows_keys, ["failed", "failed"]) as service:
        for job in (1, 2):
            with pytest.raises(UnavailableError, match=f"import job {job} failed: disk full; the same command again"):
                ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        check_once(service, config, folder)
        assert len({job.key for job in service.jobs}) == len(service.jobs), "a failed job's key gives that job again"


def test_a_job_that_the_server_forgot(config: RagConfig, folder: Path, tmp_path: Path) -> None:
    """It may have succeeded: what is there is compared, and the rest imported."""

    def kill(manifest: Manifest, _: int) -> None:
        if manifest.import_job:
            raise Killed

    with ImportService(config.uri) as service:
        patch = at_import(kill)
        with patch.context(), pytest.raises(Killed):
            ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        patch.undo()
        service.finish()
        service.jobs.clear()
        ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        check_once(service, config, folder)


def test_an_unfinished_import_asks_for_its_place(config: RagConfig, folder: Path, tmp_path: Path) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    with ImportService(config.uri) as service:
        settings = settings_for(service, tmp_path)
        patch = at_import(kill)
        with patch.context(), pytest.raises(Killed):
            ingest_files([folder], config, in_process, settings)
        patch.undo()
        with pytest.raises(ConfigError, match=r"may still be importing shard .* give the same --import-to once more"):
            ingest_files([folder], config, in_process, replace(settings, importing=None))


def test_rows_that_do_not_arrive_are_noticed(
    config: RagConfig, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ImportService(config.uri) as service:
        with monkeypatch.context() as patch:
            patch.setattr(ImportService, "_import", lambda *_: "Completed")
            with pytest.raises(UnavailableError, match=r"is complete, and 0 of its \d+ rows are there"):
                ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        ingest_files([folder], config, in_process, settings_for(service, tmp_path))
        check_once(service, config, folder)


def test_what_is_wrong_is_said(config: RagConfig, folder: Path, tmp_path: Path) -> None:
    with ImportService(config.uri, token="root:Milvus") as service:
        settings = settings_for(service, tmp_path)
        with pytest.raises(UnavailableError, match="refused: user hasn't authenticated"):
            ingest_files([folder], config, in_process, settings)
        told = config.model_copy(update={"token": SecretStr("root:Milvus")})
        assert ingest_files([folder], told, in_process, settings).written == 16
        write(folder, {"more.md": "more"})
        assert settings.importing is not None
        nothing = replace(settings, importing=replace(settings.importing, url=f"{service.url}/elsewhere"))
        with pytest.raises(ConfigError, match=r"has no bulk import over HTTP \(Milvus has it from 2\.4 on\)"):
            ingest_files([folder], told, in_process, nothing)
        other_port = replace(settings, importing=replace(settings.importing, url="tcp://127.0.0.1:1"))
        with pytest.raises(ConfigError, match=r"goes over HTTP, and tcp://127\.0\.0\.1:1 is no such address"):
            ingest_files([folder], told, in_process, other_port)
    with pytest.raises(UnavailableError, match=r"does not answer: .*; the same command again goes on"):
        ingest_files([folder], told, in_process, settings)
    with pytest.raises(ConfigError, match="import_above=-1 is below 0"):
        Settings(importing=Importing("x", above=-1))
