"""`inspection evaluate`: what a package file is worth on labelled images."""

from pathlib import Path
from typing import Any

import click

from inspection.commands.options import runtime_option
from training.commands.options import dataset_options


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@dataset_options
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write all figures here; - prints them on standard output, and nothing else there.",
)
@click.option(
    "--plots", type=click.Path(path_type=Path, file_okay=False), help="Write plots here [default: beside --json]."
)
@runtime_option
@click.option("--threads", type=click.IntRange(1), help="Cores to use [default: all].")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def evaluate(
    package: Path,
    layout: str,
    root: Path,
    category: str | None,
    split_seed: int,
    json_file: Path | None,
    plots: Path | None,
    runtime: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Measure PACKAGE on a dataset's test images; images it was fitted on are refused.

    A classifier is measured on all images of the dataset but those that it has seen and their near-duplicates in it.
    """
    from inspection.detector import Detector
    from inspection.files import make_folder
    from inspection.json_files import STANDARD_OUTPUT, write_json
    from inspection.package import read_package
    from training.class_figures import class_figures
    from training.class_plots import write_class_plots
    from training.evaluate import figures, score_images
    from training.package_split import split_for
    from training.plots import write_plots

    loaded = read_package(package)
    manifest = loaded.manifest
    files = split_for(loaded, layout, root, category, split_seed).test
    printed = json_file == STANDARD_OUTPUT
    if json_file and not printed:
        make_folder(json_file.parent)
        plots = plots or json_file.with_name(f"{json_file.stem}-plots")
    if plots:
        make_folder(plots)
    detector = Detector(loaded, runtime, threads)
    scored = score_images(detector, files, root, quiet=quiet)
    result = figures(scored, detector, root)
    if manifest.classes:
        result["classes"] = class_figures(scored, manifest)
    if not printed:
        click.echo(summary(loaded.label, result))
    if json_file:
        write_json(json_file, result)
    if plots:
        written = write_plots(plots, scored, manifest.limits, manifest.input.colour, manifest.name)
        if manifest.classes:
            written += write_class_plots(plots, scored, manifest, result["classes"])
        if not printed:
            click.echo("plots: " + ", ".join(str(path) for path in written))


def summary(label: str, result: dict[str, Any]) -> str:
    """The figures as a few lines for a person; percentages, with 95 % intervals where there is one."""
    data, latency = result["test_data"], result["latency_ms"]
    lines = [f"{label} on {data['good']} good and {data['defective']} defective images"]
    interval = result["image_auroc_interval"]
    spread = f" ({_percent(interval[0])} to {_percent(interval[1])})" if interval else ""
    lines.append(f"  image AUROC          {_percent(result['image_auroc'])}{spread}")
    for key, name in (
        ("pixel_auroc", "pixel AUROC"),
        ("aupro_30", "AUPRO to 30 % FPR"),
        ("aupro_05", "AUPRO to 5 % FPR"),
    ):
        lines.append(f"  {name:<20} {_percent(result[key])}")
    for key, name in (("detection_rate", "defective stopped"), ("false_reject_rate", "good stopped")):
        rate = result[key]
        low, high = _percent(rate["low"]), _percent(rate["high"])
        lines.append(f"  {name:<20} {_percent(rate['rate'])} ({low} to {high}; {rate['count']} of {rate['total']})")
    for defect, part in result["per_defect"].items():
        stopped = part["detection_rate"]
        area = _percent(part["image_auroc"])
        lines.append(f"    {defect:<18} AUROC {area}, stopped {stopped['count']} of {stopped['total']}")
    lines += _class_lines(result["classes"]) if "classes" in result else []
    times = ", ".join(f"{name} {value:.1f}" for name, value in latency.items())
    lines.append(f"  latency in ms        {times}; {result['images_per_second']:.1f} images/s in {result['runtime']}")
    return "\n".join(lines)


def _class_lines(part: dict[str, Any]) -> list[str]:
    """Precision and recall of each class, the confusion matrix and the calibration error."""
    lines = ["  class                precision             recall                AUROC"]
    for name, figures in part["per_class"].items():
        rates = [_rate(figures[which]) for which in ("precision", "recall")]
        lines.append(f"    {name:<18} {rates[0]:<21} {rates[1]:<21} {_percent(figures['auroc'])}")
    columns = list(next(iter(part["confusion"].values())))
    width = max(8, *(len(name) for name in columns)) + 1
    lines.append(f"  {'true, answered':<20}" + "".join(f"{name:>{width}}" for name in columns))
    for row, counts in part["confusion"].items():
        lines.append(f"    {row:<18}" + "".join(f"{count or '-':>{width}}" for count in counts.values()))
    lines.append(f"  calibration error    {_percent(part['calibration_error'])}")
    return lines


def _rate(rate: dict[str, Any]) -> str:
    return f"{_percent(rate['rate'])} ({_percent(rate['low'])} to {_percent(rate['high'])})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
