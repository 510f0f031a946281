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
    """Measure PACKAGE on a dataset's test images; images it was fitted on are refused."""
    from data.splits import make_split
    from inspection.detector import Detector
    from inspection.files import make_folder
    from inspection.json_files import STANDARD_OUTPUT, write_json
    from inspection.package import read_package
    from training.evaluate import figures, score_images
    from training.plots import write_plots

    loaded = read_package(package)
    split = make_split(layout, root, category, split_seed)
    printed = json_file == STANDARD_OUTPUT
    if json_file and not printed:
        make_folder(json_file.parent)
        plots = plots or json_file.with_name(f"{json_file.stem}-plots")
    if plots:
        make_folder(plots)
    detector = Detector(loaded, runtime, threads)
    scored = score_images(detector, split.test, root, quiet=quiet)
    result = figures(scored, detector, root)
    if not printed:
        click.echo(summary(loaded.label, result))
    if json_file:
        write_json(json_file, result)
    if plots:
        written = write_plots(plots, scored, loaded.manifest.limits, loaded.manifest.input.colour, loaded.manifest.name)
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
    times = ", ".join(f"{name} {value:.1f}" for name, value in latency.items())
    lines.append(f"  latency in ms        {times}; {result['images_per_second']:.1f} images/s in {result['runtime']}")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
