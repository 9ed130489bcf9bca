"""Ingesting over HTTP: only where it is allowed, only from where it is allowed, and watching."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qwen3_rag import RagConfig, Session
from qwen3_rag.models import Models
from qwen3_rag.serve.settings import ServeSettings
from qwen3_rag.store.connect import release_lite
from support.service import Running, good, refused, running, wait_until

from .conftest import SETTINGS, Serving


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RagConfig]:
    """A database of the test's own, which is not there yet."""
    config = RagConfig(uri=str(tmp_path / "own.db"), batch_size=2, **SETTINGS)
    yield config
    release_lite(config.uri)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "files" / "docs"
    folder.mkdir(parents=True)
    (folder / "tea.md").write_text("# Tea\n\nSteep green tea at 80 degrees.\n")
    (folder / "notes.txt").write_text("Cats sleep. Dogs bark.")
    return folder


def ended(service: Running, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    wait_until(lambda: good(service.http.get(f"/jobs/{job}"))["status"] not in ("waiting", "running"))
    return dict(good(service.http.get(f"/jobs/{job}")))


def test_a_missing_collection_is_made_and_filled(own: RagConfig, models: Models, docs: Path) -> None:
    settings = ServeSettings(port=0, allow_write=True, write_roots=[docs.parent])
    with running(Session(own, models=models), settings) as service:
        assert good(service.http.get("/health"))["rows"] == 0
        job = ended(service, service.http.post("/ingest", json={"paths": [str(docs)], "metadata": {"team": "red"}}))
        assert (job["status"], job["exit_code"], job["report"]["written"]) == ("done", 0, 2)
        assert job["progress"]["passages"] == 2
        assert service.search("green tea", filters=["team=red"])["reranked"][0]["source"] == "docs/tea.md"

        (docs / "tea.md").unlink()
        (docs / "broken.md").write_bytes(b"\xff\xfe\x00\x00broken\xd8\x00")
        job = ended(service, service.http.post("/ingest", json={"paths": [str(docs)], "prune": True}))
        assert job["report"]["pruned"] == 1
        assert "docs/tea.md" not in {row["source"] for row in good(service.http.get("/sources"))["sources"]}
        (docs.parent / "other").mkdir()
        (docs.parent / "other" / "docs").mkdir()
        (docs.parent / "other" / "docs" / "a.md").write_text("# A\n\nText.\n")
        job = ended(service, service.http.post("/ingest", json={"paths": [str(docs.parent / "other" / "docs")]}))
        assert (job["status"], job["exit_code"]) == ("failed", 2)
        assert "--name" in job["error"]


def test_questions_are_answered_while_it_writes(own: RagConfig, models: Models, docs: Path) -> None:
    for number in range(40):
        (docs / f"{number}.md").write_text(f"# Number {number}\n\nThis is about the number {number}.\n")
    settings = ServeSettings(port=0, allow_write=True, write_roots=[docs])
    with running(Session(own, models=models), settings) as service:
        job = service.http.post("/ingest", json={"paths": [str(docs)]}).json()["job"]
        seen = set()
        while good(service.http.get(f"/jobs/{job}"))["status"] in ("waiting", "running"):
            seen.add(len(service.search("number", top_k=50, rerank=False)["dense"]))
        assert len(service.search("number", top_k=50, rerank=False)["dense"]) == 42
        assert len(seen) > 1, "no question was answered in between"


def test_only_below_its_roots_and_links_do_not_lead_out(
    own: RagConfig, models: Models, docs: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# Secret\n\nThe password is swordfish.\n")
    (docs / "link.md").symlink_to(secret)
    (tmp_path / "files" / "docs-too").mkdir()
    settings = ServeSettings(port=0, allow_write=True, write_roots=[docs])
    with running(Session(own, models=models), settings) as service:
        for path in (secret, "/etc/passwd", docs / ".." / ".." / "secret.md", docs / "link.md", f"{docs}-too"):
            refused(service.http.post("/ingest", json={"paths": [str(docs), str(path)]}), 403, "--write-root")
        refused(service.http.post("/ingest", json={"paths": ["docs"]}), 400, "relative")
        refused(service.http.post("/ingest", json={"paths": [str(docs / "gone")]}), 400, "gone")
        refused(service.http.post("/ingest", json={"paths": [str(docs)], "follow_links": True}), 422, "follow_links")
        refused(service.http.post("/ingest", json={"paths": [f"{docs}/\x00"]}), 422)
        job = ended(service, service.http.post("/ingest", json={"paths": [str(docs)]}))
        assert job["exit_code"] == 3
        assert "swordfish" not in service.http.post("/search", json={"query": "password"}).text
        refused(service.http.get("/jobs/nothing"), 404, "'nothing'")


def test_a_service_that_reads_writes_nothing(serving: Serving, docs: Path) -> None:
    service = serving()
    refused(service.http.post("/ingest", json={"paths": [str(docs)]}), 403, "--allow-write")
    refused(service.http.get("/jobs/1"), 403, "--allow-write")


def test_a_watched_folder_is_kept_in_line(own: RagConfig, models: Models, docs: Path) -> None:
    with running(Session(own, models=models), ServeSettings(port=0, watch=[docs])) as service:
        wait_until(lambda: service.search("tea")["dense"])
        (docs / "coffee.md").write_text("# Coffee\n\nGrind the beans just before brewing.\n")
        wait_until(lambda: any("coffee" in row["source"] for row in service.search("coffee beans")["dense"]))
        (docs / "coffee.md").unlink()
        wait_until(lambda: not any("coffee" in row["source"] for row in service.search("coffee beans")["dense"]))
    assert not [one for one in threading.enumerate() if one.name == "qwen3-rag-watch"]


def test_a_stopped_service_ends_its_ingest_after_a_batch(own: RagConfig, models: Models, docs: Path) -> None:
    for number in range(400):
        (docs / f"{number}.md").write_text(f"# Number {number}\n\nThis is about the number {number}.\n")
    settings = ServeSettings(port=0, allow_write=True, write_roots=[docs])
    with running(Session(own, models=models), settings) as service:
        job = service.http.post("/ingest", json={"paths": [str(docs)]}).json()["job"]
        wait_until(lambda: (good(service.http.get(f"/jobs/{job}"))["progress"] or {}).get("passages", 0) > 4)
    assert service.service.jobs.get(job).status == "stopped"
    with Session(own, models=models) as session:
        report = session.ingest([docs])
    assert report.written + report.kept == 402
    assert report.kept >= 4
