"""What is known of a shard and of a run, in small files that are replaced whole: what a run that was killed goes on
from."""

from __future__ import annotations

import dataclasses
import json
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.report import IngestReport
from qwen3_rag.scale.folder import Folder

State = Literal["cut", "embedded", "importing", "done"]
RUN = "run.json"


@dataclass(frozen=True)
class Manifest:
    """A shard of a run.

    Args:
        shard: the hash of its documents and passages, which is its name.
        run: the run that cut it last.
        state: "cut" into passages and compared with the collection; "embedded"; "importing": Milvus may have been asked
            to; "done".
        model: the identity of the embedding model.
        missing: passages that were not in the collection.
        characters: the letters of those.
        vectors: the file with their vectors.
        import_file, import_job, attempt: the file given to Milvus' import, the job that it made of it, and how often.
        report: what came of it, as `IngestReport` says it.
    """

    shard: str
    run: str
    state: State
    model: dict[str, Any]
    documents: int
    passages: int
    missing: int
    characters: int
    vectors: str = ""
    import_file: str = ""
    import_job: str = ""
    attempt: int = 1
    report: dict[str, float] = field(default_factory=dict)

    def save(self, work: Folder) -> Manifest:
        work.write(_name(self.shard), json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1).encode())
        return self

    def moved_to(self, work: Folder, state: State, **changes: Any) -> Manifest:
        """The shard in its next state, recorded."""
        return dataclasses.replace(self, state=state, **changes).save(work)


def load_manifest(work: Folder, shard: str) -> Manifest | None:
    """What is recorded of a shard; None where nothing is."""
    if not work.has(_name(shard)):
        return None
    return Manifest(**_object(work, _name(shard)))


def counts(report: IngestReport) -> dict[str, float]:
    """The numbers of a report."""
    return {name: value for name, value in vars(report).items() if isinstance(value, int | float)}


def begin_run(work: Folder, target: dict[str, Any]) -> str:
    """The mark of the run that fills `target`: the unfinished one of that target goes on."""
    known = _object(work, RUN) if work.has(RUN) else {}
    if known.get("state") == "running" and known.get("target") == target:
        return str(known["run"])
    run = uuid.uuid4().hex[:12]
    work.write(RUN, json.dumps({"run": run, "state": "running", "target": target}).encode())
    return run


def end_run(work: Folder, keep: bool) -> None:
    """The run is complete: the next one begins anew. What its shards held is deleted unless `keep`."""
    work.write(RUN, json.dumps({**_object(work, RUN), "state": "done"}).encode())
    if not keep:
        for sub in ("shards", "vectors", "manifests"):
            for name in work.names(sub):
                work.remove(f"{sub}/{name}")


def _object(work: Folder, name: str) -> dict[str, Any]:
    try:
        found = json.loads(work.read(name))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{name} in {work.url} is not what this program wrote; give another --work-dir, or delete it")
    return found


def _name(shard: str) -> str:
    return f"manifests/{shard}.json"
