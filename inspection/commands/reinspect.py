"""`inspection reinspect`: archived images, or a folder of them, through a package."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from inspection.commands.options import classifier_option, runtime_option
from inspection.errors import BadUsage

if TYPE_CHECKING:
    from inspection.work_list import WorkList


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@classifier_option
@click.option("--archive", type=click.Path(path_type=Path), help="The archive to re-inspect; it is only read.")
@click.option("--folder", type=click.Path(path_type=Path), help="Or a folder tree of plain images.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder for the results.")
@click.option(
    "--limits",
    "limits_from",
    type=click.Choice(["package", "recorded"]),
    default="package",
    show_default=True,
    help="Whose limits decide: the package's own, or those recorded with each unit.",
)
@runtime_option
@click.option("--threads", type=click.IntRange(1), help="Cores to use [default: all].")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def reinspect(
    package: Path,
    classifier: Path | None,
    archive: Path | None,
    folder: Path | None,
    out: Path,
    limits_from: Literal["package", "recorded"],
    runtime: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Inspect all units of an archive again with PACKAGE and show which verdicts change.

    Writes OUT/result.json, OUT/report.html and, while it runs, OUT/results.jsonl: interrupted, the same command goes on
    where it stopped, in the same runtime. Changed verdicts are a result and no error: the exit code is 0.
    """
    from tqdm import tqdm

    from inspection.combined import load_detector
    from inspection.detector import available_cores
    from inspection.reinspect import REPORT, Reinspection, earlier_runtime
    from inspection.runtimes.names import AUTO

    with _work(archive, folder, out, limits_from) as work:
        if runtime == AUTO:
            runtime = earlier_runtime(out) or AUTO
        detector = load_detector(package, classifier, runtime, threads=1, parallel=threads or available_cores())
        with tqdm(desc="re-inspecting", unit="unit", disable=True if quiet else None) as bar:

            def progress(done: int, total: int) -> None:
                if bar.total is None:
                    bar.reset(total)
                    bar.initial = bar.n = done
                bar.update(done - bar.n)

            try:
                summary = Reinspection(work, detector, limits_from, threads).run(out, progress)
            except KeyboardInterrupt:
                bar.close()
                click.echo(f"stopped; the same command goes on from there (what is done is kept in {out})", err=True)
                raise
    click.echo(summary_text(detector.label, summary))
    click.echo(f"  {out / REPORT}")


@contextmanager
def _work(archive: Path | None, folder: Path | None, out: Path, limits_from: str) -> "Iterator[WorkList]":
    from inspection.archive import Archive, refuse_inside
    from inspection.archive_work import ArchiveWork
    from inspection.folder_work import FolderWork

    if archive and not folder:
        refuse_inside(archive, out, "--out", "folder")
        with Archive(archive, read_only=True) as opened:
            yield ArchiveWork(opened)
    elif folder and not archive:
        if limits_from == "recorded":
            raise BadUsage("--limits recorded needs records; with --folder the package's own limits decide")
        yield FolderWork(folder)
    else:
        raise BadUsage("give either --archive or --folder, and not both")


def summary_text(label: str, summary: dict[str, Any]) -> str:
    """What came out, as a few lines for a person."""
    source, verdicts, bad = summary["source"], summary["verdicts"], len(summary["unreadable"])
    seen = f"{_count(summary['units'], 'unit')} ({_count(summary['frames'], 'image')})"
    lines = [f"{label} on {seen} of {source['folder']}"]
    if source["kind"] == "folder":
        lines.append("  " + ", ".join(f"{count} {outcome}" for outcome, count in verdicts.items()))
    else:
        changes = Counter(f"{item['old']} to {item['new']}" for item in summary["changed_verdicts"])
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
