"""`inspection reinspect`: archived images, an exported batch, or a folder of images, through one package or several."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from inspection.commands.options import ask_password, classifier_option, runtime_option
from inspection.errors import BadUsage

if TYPE_CHECKING:
    from inspection.reinspect_source import Source


@click.command()
@click.argument("packages", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PACKAGE...")
@classifier_option
@click.option(
    "--archive", type=click.Path(path_type=Path), help="The archive, or the folder of an exported batch; only read."
)
@click.option("--folder", type=click.Path(path_type=Path), help="Or a folder tree of plain images.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder for the results.")
@click.option("--batch", help="Only units of this batch.")
@click.option("--since", help="Only units recorded from this time on (UTC where it names no zone).")
@click.option("--until", help="Only units recorded before this time.")
@click.option(
    "--verdict", "verdicts", multiple=True, type=click.Choice(["PASS", "REVIEW", "REJECT"]),
    help="Only units with this verdict on record, as corrected; may be repeated.",
)  # fmt: skip
@click.option("--product", help="Only units of this product.")
@click.option("--package", "recorded_package", help="Only units that the package with this SHA-256 decided.")
@click.option(
    "--limits",
    "limits_from",
    type=click.Choice(["package", "recorded"]),
    default="package",
    show_default=True,
    help="Whose limits decide: the package's own, or those recorded with each unit.",
)
@click.option(
    "--heatmaps", type=click.IntRange(0), default=1000, show_default=True, help="How many of changed units to keep."
)
@runtime_option
@click.option(
    "--engine", default="local", show_default=True, help="What does the work: `local`, this machine; `ray`, a cluster."
)
@click.option(
    "--ray-address",
    help="The Ray cluster, host:port [default: RAY_ADDRESS, else a Ray that is started here for this run].",
)
@click.option("--threads", type=click.IntRange(1), help="Cores to use [default: all].")
@click.option(
    "--progress", "shown", type=click.Choice(["bar", "json", "none"]), default="bar", show_default=True,
    help="On standard error: a bar, or a line of JSON each second.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="The same as --progress none.")
@click.option(
    "--record", "recorded", type=click.Choice(["changed", "all"]), is_flag=False, flag_value="changed",
    help="Afterwards put an event in the archive for each changed unit, or for `all`.",
)  # fmt: skip
@click.option("--as", "by", help="Who has it recorded: your user name.")
@click.option("--password-file", type=click.Path(path_type=Path), help="As for other commands that ask who you are.")
@click.option("--why", default="", help="Why it is recorded, for the audit trail.")
def reinspect(
    packages: tuple[Path, ...],
    classifier: Path | None,
    archive: Path | None,
    folder: Path | None,
    out: Path,
    batch: str | None,
    since: str | None,
    until: str | None,
    verdicts: tuple[str, ...],
    product: str | None,
    recorded_package: str | None,
    limits_from: Literal["package", "recorded"],
    heatmaps: int,
    runtime: str,
    engine: str,
    ray_address: str | None,
    threads: int | None,
    shown: str,
    quiet: bool,
    recorded: Literal["changed", "all"] | None,
    by: str | None,
    password_file: Path | None,
    why: str,
) -> None:
    """Inspect all units of an archive again with each PACKAGE and show which verdicts change.

    Writes OUT/result.json, result.parquet, report.html, summary.pdf, heatmaps of changed units and, while it runs,
    OUT/results.jsonl: interrupted, the same command goes on where it stopped, in the same runtime. Changed verdicts are
    a result and no error: the exit code is 0.
    """
    from inspection.detector import available_cores
    from inspection.engines import engine_named
    from inspection.lineup import load_lineup, runtimes_for
    from inspection.record_filter import RecordFilter
    from inspection.reinspect import REPORT, Reinspection, earlier_runtimes
    from inspection.unit_inspector import PackageFiles

    wanted = RecordFilter.of(batch, since, until, verdicts, product, recorded_package)
    source, opened = _source(archive, folder, out, limits_from, wanted), engine_named(engine, ray_address)
    if recorded:
        _may_record(source, by, why, password_file)
    with source.opened() as work:
        runtimes = runtimes_for(len(packages), runtime, earlier_runtimes(out))
        detectors = load_lineup(packages, classifier, runtimes, threads=1, parallel=threads or available_cores())
        files = PackageFiles(
            tuple(path.resolve() for path in packages), classifier.resolve() if classifier else None,
            tuple(one.runtime for one in detectors), tuple(one.package.digest for one in detectors),
        )  # fmt: skip
        with opened as runs, _progress("none" if quiet else shown) as progress:
            run = Reinspection(
                work, detectors[0], limits_from, threads, tuple(detectors[1:]), heatmaps, runs, source, files
            )
            try:
                summary = run.run(out, progress)
            except KeyboardInterrupt:
                click.echo(f"stopped; the same command goes on from there (what is done is kept in {out})", err=True)
                raise
    for said, detector in zip(_each(summary), detectors, strict=True):
        click.echo(summary_text(detector.label, said))
    click.echo(f"  {out / REPORT}")
    if recorded and by:
        click.echo(f"  {_record(source, out, summary, by, why, recorded)}")


def _source(archive: Path | None, folder: Path | None, out: Path, limits_from: str, wanted: Any) -> "Source":
    from inspection.archive import refuse_inside
    from inspection.reinspect_source import Source

    if archive and not folder:
        refuse_inside(archive, out, "--out", "folder")
        return Source("archive", archive.resolve(), wanted)
    if folder and not archive:
        if limits_from == "recorded":
            raise BadUsage("--limits recorded needs records; with --folder the package's own limits decide")
        return Source("folder", folder.resolve(), wanted)
    raise BadUsage("give either --archive or --folder, and not both")


def _may_record(source: "Source", by: str | None, why: str, password_file: Path | None) -> None:
    """Ask who it is before hours of work, and not after. Raises BadUsage, SignInRefused, NotPermitted."""
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.archive import Archive, ArchiveMissing
    from inspection.archive_settings import DATABASE_FILE, SETTINGS_FILE
    from inspection.batch_export import is_export

    if source.kind != "archive" or is_export(source.folder):
        raise BadUsage("--record writes to an archive; give one with --archive, or leave --record out")
    if not by or len(why.strip()) < 3:
        raise BadUsage("--record puts it on record: say who you are (--as) and why (--why)")
    if not any((source.folder / name).is_file() for name in (DATABASE_FILE, SETTINGS_FILE)):
        raise ArchiveMissing(f"{source.folder} holds no archive (no {DATABASE_FILE}); give the folder of an archive")
    with Archive(source.folder) as opened:
        authorise(opened, by, ask_password(password_file), Permission.DEVELOP, "recording a re-inspection")


def _record(
    source: "Source", out: Path, summary: dict[str, Any], by: str, why: str, which: Literal["changed", "all"]
) -> str:
    from inspection.archive import Archive
    from inspection.reinspect_record import Run, record_run
    from inspection.results_file import read_results
    from inspection.unit_result import UnitResults

    run = Run(summary["run"], _each(summary), by, why.strip())
    with Archive(source.folder) as opened:
        written = record_run(opened, map(UnitResults.from_line, read_results(out)), run, which)
    there = f"; {written.there} were on record already" if written.there else ""
    return f"{_count(written.appended, 'event')} put on record{there}"


@contextmanager
def _progress(shown: str) -> Iterator[Callable[[int, int], None]]:
    if shown == "json":
        from inspection.reinspect_progress import ProgressClock

        clock = ProgressClock(time.monotonic)

        def tell(done: int, total: int) -> None:
            progress = clock.at(done, total)
            if clock.due(progress):
                click.echo(progress.line(), err=True)

        yield tell
        return
    from tqdm import tqdm

    with tqdm(desc="re-inspecting", unit="unit", disable=True if shown == "none" else None) as bar:

        def update(done: int, total: int) -> None:
            if bar.total is None:
                bar.reset(total)
                bar.initial = bar.n = done
            bar.update(done - bar.n)

        try:
            yield update
        except KeyboardInterrupt:
            bar.close()
            raise


def _each(summary: dict[str, Any]) -> list[dict[str, Any]]:
    from inspection.reinspect_report import per_package

    return per_package(summary)


def summary_text(label: str, summary: dict[str, Any]) -> str:
    """What came out for one package, as a few lines for a person."""
    source, verdicts, bad = summary["source"], summary["verdicts"], summary["unreadable_count"]
    seen = f"{_count(summary['units'], 'unit')} ({_count(summary['frames'], 'image')})"
    lines = [f"{label} on {seen} of {source['folder']}"]
    if source["kind"] == "folder":
        lines.append("  " + ", ".join(f"{count} {outcome}" for outcome, count in verdicts.items()))
    else:
        changes = Counter({f"{old} to {new}": count for old, row in summary["agreement"].items()
                           for new, count in row.items() if old != new and count})  # fmt: skip
        listed = ", ".join(f"{count} from {change}" for change, count in sorted(changes.items()))
        largest = summary["largest_score_difference"]
        difference = "" if largest is None else f"; largest score difference {largest:.4g}"
        lines.append(f"  {_count(changes.total(), 'changed verdict')}{f': {listed}' if listed else ''}{difference}")
    if summary["without_classifier"]:
        decided = _count(summary["without_classifier"], "unit")
        lines.append(f"  {decided} had been decided with a classifier as well: give it with --classifier")
    if bad or summary["without_image"]:
        missing = _count(summary["without_image"], "unit")
        lines.append(f"  {_count(bad, 'image')} could not be inspected; {missing} without an image")
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
