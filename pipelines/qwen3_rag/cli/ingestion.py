"""`qwen3-rag ingest`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from qwen3_rag.cli import scaling
from qwen3_rag.cli.options import AsJson, Quiet, command
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError

if TYPE_CHECKING:
    from qwen3_rag.ingestion.pipeline import IngestOptions
    from qwen3_rag.ingestion.report import IngestReport

EPILOG = (
    "Examples: qwen3-rag ingest docs/ · qwen3-rag ingest docs/ notes.txt --prune · "
    "qwen3-rag ingest . --include '*.md' --watch · qwen3-rag ingest --remove docs/old.md · "
    "qwen3-rag ingest beir/corpus.jsonl --collection beir --hybrid · qwen3-rag ingest docs/ --overwrite"
)


def register(app: typer.Typer) -> None:
    command(app, "ingest", settings=("ingest", "service"), epilog=EPILOG)(ingest_command)


def ingest_command(
    config: RagConfig,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files and folders; with --ray also a corpus: .parquet, s3://…", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Drop and recreate the collection first.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove sources below PATHS that are gone.")] = False,
    include: Annotated[
        list[str], typer.Option("--include", metavar="GLOB", help="Only files below PATHS that match; repeatable.")
    ] = [],  # noqa: B006  Typer copies it
    exclude: Annotated[
        list[str],
        typer.Option("--exclude", metavar="GLOB", help="Not these files and folders/; repeatable, as in .gitignore."),
    ] = [],  # noqa: B006
    no_gitignore: Annotated[
        bool, typer.Option("--no-gitignore", help="Also read what .gitignore files leave out.")
    ] = False,
    meta: Annotated[
        list[str],
        typer.Option("--meta", metavar="KEY=VALUE", help="Metadata for every passage, to filter by; repeatable."),
    ] = [],  # noqa: B006
    remove: Annotated[
        list[str],
        typer.Option("--remove", metavar="SOURCE", help="Instead of PATHS: delete a document or folder/; repeatable."),
    ] = [],  # noqa: B006
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: ingest what changes until Ctrl-C. What is gone is removed.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="What PATH is called in the names of its documents. [its own name]")
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over a collection that does not say which model filled it.")
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Also read what links in a folder reach outside it.")
    ] = False,
    dry_run: scaling.DryRun = False,
    ray: scaling.UseRay = False,
    ray_address: scaling.RayAddress = None,
    ray_workers: scaling.RayWorkers = None,
    ray_writers: scaling.RayWriters = 1,
    work_dir: scaling.WorkDir = None,
    shard_size: scaling.ShardSize = scaling.SHARD_SIZE,
    keep_shards: scaling.KeepShards = False,
    import_to: scaling.ImportTo = None,
    import_above: scaling.ImportAbove = scaling.IMPORT_ABOVE,
    import_url: scaling.ImportUrl = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring the collection in line with files and folders.

    Only what is new or changed is embedded; run it again at any time, also after an interruption. Files that cannot be
    read are listed and skipped, text that is too long for the embedding model is listed (exit code 3); files of kinds
    that nothing reads are counted and passed over.
    What a large ingest costs, --dry-run says.
    """
    from qwen3_inference.texts import TextCutWarning

    from qwen3_rag.cli.console import progress_bar
    from qwen3_rag.cli.sessions import HERE
    from qwen3_rag.documents.metadata import parse_meta

    warnings.simplefilter("ignore", TextCutWarning)  # the report says it, with the source
    cluster = scaling.Cluster(
        ray,
        ray_address,
        ray_workers,
        ray_writers,
        work_dir,
        shard_size,
        keep_shards,
        import_to,
        import_above,
        import_url,
    )
    cluster.check(dry_run, watch)
    if not paths or remove:
        if paths or not remove or watch:
            raise ConfigError("give PATHS to read, or --remove SOURCE: one of both")
        if config.server not in (None, HERE):
            raise ConfigError("--remove with --server: a service removes nothing; stop it, and leave --server out")
        _remove(config, remove, as_json, quiet)
        return
    if (ray or ray_address or dry_run) and config.server not in (None, HERE):
        raise ConfigError("--ray and --dry-run with --server: a service does neither; leave --server out")
    if watch and config.server not in (None, HERE):
        raise ConfigError("--watch with --server: let the service watch: qwen3-rag serve --watch PATH")
    options: IngestOptions = {
        "prune": prune or watch,
        "include": include,
        "exclude": exclude,
        "gitignore": not no_gitignore,
        "metadata": parse_meta(meta),
        "name": name,
        "follow_links": follow_links,
    }
    if dry_run:
        _estimate(config, paths, ray_workers or 1, options, as_json, quiet)
        return
    if watch:
        _watch(config, paths, overwrite, adopt, options, as_json, quiet)
        return
    with progress_bar(not quiet) as on_progress:
        options["on_progress"] = on_progress
        if ray or ray_address:
            report = scaling.ingest_on_ray(config, paths, cluster, overwrite, adopt, options)
        else:
            report = _ingest(config, paths, overwrite, adopt, options)
    _print(report, as_json, quiet)
    if not report.complete:
        raise typer.Exit(3)


def _ingest(config: RagConfig, paths: list[str], overwrite: bool, adopt: bool, options: IngestOptions) -> IngestReport:
    from qwen3_rag.cli.sessions import session_for

    if corpora := [path for path in paths if "://" in path]:
        raise ConfigError(f"{corpora[0]!r} is no local path; a corpus elsewhere is read with --ray")
    with session_for(config, writes=True) as session:
        return session.ingest(paths, overwrite=overwrite, adopt=adopt, **options)


def _estimate(
    config: RagConfig, paths: list[str], workers: int, options: IngestOptions, as_json: bool, quiet: bool
) -> None:
    from qwen3_rag.cli.console import progress_bar
    from qwen3_rag.scale.estimate import estimate_files

    if corpora := [path for path in paths if scaling.is_corpus(path)]:
        raise ConfigError(f"--dry-run reads local files, not {corpora[0]}; try it on a part of the corpus as .jsonl")
    with progress_bar(not quiet) as on_progress:
        options["on_progress"] = on_progress
        found = estimate_files(paths, config, workers=workers, **options)
    scaling.print_estimate(found, as_json)
    if found.skipped:
        raise typer.Exit(3)


def _print(report: IngestReport, as_json: bool, quiet: bool) -> None:
    from qwen3_rag.cli.console import print_json, print_report, print_skipped

    if as_json:
        print_json(report.to_json())
    (print_skipped if quiet else print_report)(report)


def _watch(
    config: RagConfig,
    paths: list[str],
    overwrite: bool,
    adopt: bool,
    options: IngestOptions,
    as_json: bool,
    quiet: bool,
) -> None:
    """The models stay; the database is opened for each batch, and free for others in between."""
    from qwen3_rag.cli.console import note
    from qwen3_rag.ingestion.pipeline import check_options
    from qwen3_rag.ingestion.pruning import Seen
    from qwen3_rag.ingestion.watching import keep_in_line
    from qwen3_rag.models import load_models
    from qwen3_rag.session import Session

    check_options(paths, options)
    options["seen"] = Seen()
    models = load_models(config, rerank=False)
    known: set[tuple[str, str]] | None = None

    def ingest_once() -> IngestReport:
        is_first = known is None
        with Session(config, models=models) as session:
            return session.ingest(paths, overwrite=overwrite and is_first, adopt=adopt and is_first, **options)

    def show(report: IngestReport) -> None:
        """The first report, and those that say something new."""
        nonlocal known
        troubles = {*report.skipped, *report.cut}
        if known is None or report.has_changed or not known.issuperset(troubles):
            _print(report, as_json, quiet)
        if known is None and not quiet:
            note("watching; Ctrl-C ends it")
        known = troubles

    keep_in_line(paths, ingest_once, on_report=show, on_trouble=note)


def _remove(config: RagConfig, sources: list[str], as_json: bool, quiet: bool) -> None:
    from qwen3_rag.cli.console import note, print_json
    from qwen3_rag.ingestion.removal import remove_documents
    from qwen3_rag.store.opening import open_store

    store = open_store(config, None)  # no model is needed
    try:
        report = remove_documents(store, sources)
    finally:
        store.close()
    if as_json:
        print_json(report.to_json())
    if not quiet:
        note(f"{report.pruned} documents with {report.deleted} passages removed")
