"""The options and the work of `qwen3-rag ingest` beyond one process: `--dry-run` and `--ray`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_rag.ingestion.pipeline import IngestOptions
    from qwen3_rag.ingestion.report import IngestReport
    from qwen3_rag.scale.estimate import Estimate
    from qwen3_rag.scale.settings import Settings

_PANEL = "Beyond one machine"
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write nothing: count passages and tokens, measure the rate, say hours and bytes.",
        rich_help_panel=_PANEL,
    ),
]
UseRay = Annotated[
    bool,
    typer.Option(
        "--ray", help="Cut, embed and write with Ray, into a Milvus server (extra: ray).", rich_help_panel=_PANEL
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address", metavar="ADDRESS", help="Cluster: auto or host:port. \\[this machine]", rich_help_panel=_PANEL
    ),
]
RayWorkers = Annotated[
    int | None,
    typer.Option(
        "--ray-workers", metavar="N", help="Processes that embed. \\[a GPU or a machine each]", rich_help_panel=_PANEL
    ),
]
RayWriters = Annotated[
    int, typer.Option("--ray-writers", metavar="N", help="Processes that write to Milvus.", rich_help_panel=_PANEL)
]
WorkDir = Annotated[
    str | None,
    typer.Option(
        "--work-dir",
        metavar="FOLDER|URL",
        help="Where shards lie between the steps; all machines must see it. \\[the user's cache]",
        rich_help_panel=_PANEL,
    ),
]
ShardSize = Annotated[
    int, typer.Option("--shard-size", metavar="N", help="Passages of a shard.", rich_help_panel=_PANEL)
]
KeepShards = Annotated[
    bool,
    typer.Option("--keep-shards", help="Leave the shards and vectors in the work folder.", rich_help_panel=_PANEL),
]
ImportTo = Annotated[
    str | None,
    typer.Option(
        "--import-to",
        metavar="URL",
        help="Write by Milvus' bulk import, by files at this place in its own bucket.",
        rich_help_panel=_PANEL,
    ),
]
ImportAbove = Annotated[
    int,
    typer.Option(
        "--import-above", metavar="N", help="Of fewer new passages, write the rows themselves.", rich_help_panel=_PANEL
    ),
]
ImportUrl = Annotated[
    str | None,
    typer.Option("--import-url", metavar="URL", help="Milvus' HTTP service. \\[--uri]", rich_help_panel=_PANEL),
]


@dataclass(frozen=True)
class Cluster:
    """The options as they were given."""

    ray: bool
    address: str | None
    workers: int | None
    writers: int
    work: str | None
    shard_size: int
    keep: bool
    import_to: str | None
    import_above: int
    import_url: str | None

    def check(self, dry_run: bool, watch: bool) -> None:
        """Raise ConfigError for options that nothing would obey."""
        if self.ray or self.address:
            if watch:
                raise ConfigError("--watch and --ray do not go together; ingest with --ray first, then watch without")
            return
        given = {
            "--ray-workers": self.workers is not None and not dry_run,
            "--ray-writers": self.writers != 1,
            "--work-dir": self.work is not None,
            "--shard-size": self.shard_size != SHARD_SIZE,
            "--keep-shards": self.keep,
            "--import-to": self.import_to is not None,
            "--import-above": self.import_above != IMPORT_ABOVE,
            "--import-url": self.import_url is not None,
        }
        if unheard := [name for name, is_given in given.items() if is_given]:
            raise ConfigError(f"{unheard[0]} goes with --ray; add it, or leave {unheard[0]} out")

    def settings(self) -> Settings:
        from qwen3_rag.scale.plan import Importing
        from qwen3_rag.scale.settings import Settings

        if self.import_to is None and self.import_url is not None:
            raise ConfigError("--import-url goes with --import-to, the place where Milvus reads the files")
        importing = Importing(self.import_to, self.import_url, self.import_above) if self.import_to else None
        return Settings(self.work, self.shard_size, importing, self.keep)


SHARD_SIZE = 1_024
IMPORT_ABOVE = 100_000


def is_corpus(path: str) -> bool:
    """Whether a path is that of rows, and not of files that are documents."""
    return "://" in path or path.lower().endswith(".parquet")


def ingest_on_ray(
    config: RagConfig, paths: Sequence[str], cluster: Cluster, overwrite: bool, adopt: bool, options: IngestOptions
) -> IngestReport:
    """Local files and folders, or one corpus."""
    from qwen3_rag.extras import require

    require("ray")
    from qwen3_rag.scale.corpora import ingest_corpus
    from qwen3_rag.scale.files import ingest_files
    from qwen3_rag.scale.ray_engine import RayEngine

    engine = RayEngine(cluster.address, cluster.workers, cluster.writers, served=bool(config.embed_url))
    corpora = [path for path in paths if is_corpus(path)]
    if not corpora:
        return ingest_files(paths, config, engine, cluster.settings(), overwrite=overwrite, adopt=adopt, **options)
    if len(paths) > 1:
        raise ConfigError(f"{corpora[0]} is a corpus, and {len(paths)} paths are given; ingest them one by one")
    if options.get("include") or options.get("exclude") or options.get("follow_links"):
        raise ConfigError(f"{corpora[0]} is a corpus: --include, --exclude and --follow-links choose among local files")
    return ingest_corpus(
        corpora[0],
        config,
        engine,
        cluster.settings(),
        name=options.get("name"),
        metadata=options.get("metadata"),
        prune=options.get("prune", False),
        on_progress=options.get("on_progress"),
        overwrite=overwrite,
        adopt=adopt,
    )


def print_estimate(found: Estimate, as_json: bool) -> None:
    """On stdout; what was skipped on stderr."""
    from qwen3_rag.cli.console import out, print_json, print_skipped
    from qwen3_rag.ingestion.report import IngestReport

    print_skipped(IngestReport(skipped=found.skipped))
    if as_json:
        print_json(found.to_json())
        return
    new = found.passages - found.kept
    out.print(f"{found.documents:,} documents, {found.passages:,} passages: {found.kept:,} are there, {new:,} to embed")
    if new:
        out.print(
            f"{found.tokens:,} tokens at {found.tokens_per_second:,.0f} a second ({found.passages_per_second:,.1f} "
            f"passages): {hours(found.hours)} with {found.workers} such process{'es' if found.workers > 1 else ''}"
        )
    out.print(f"in Milvus: {size(found.row_bytes)} of text and metadata, and vectors of")
    for dimension, by_type in found.vector_bytes.items():
        kinds = ", ".join(f"{size(count)} as {kind}" for kind, count in by_type.items())
        out.print(f"  {dimension:>5} dimensions: {kinds}")


def hours(value: float) -> str:
    """
    >>> hours(0.002), hours(0.5), hours(30)
    ('7 s', '30 min', '30.0 h')
    """
    seconds = value * 3600
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{value:,.1f} h"


def size(count: int) -> str:
    """
    >>> size(1_234), size(4_096_000_000)
    ('1.2 kB', '4.1 GB')
    """
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:,.1f} {units[0]}"
