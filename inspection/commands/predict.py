"""`inspection predict`: what a package says of single images."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspection.commands.options import classifier_option, runtime_option

if TYPE_CHECKING:
    from inspection.predict import Prediction


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the results here; - prints them on standard output, and nothing else there.",
)
@click.option("--heatmaps", type=click.Path(path_type=Path), help="Write each image with its heatmap into this folder.")
@classifier_option
@runtime_option
@click.option("--threads", type=click.IntRange(1), help="Cores to use [default: all].")
def predict(
    package: Path,
    images: tuple[Path, ...],
    json_file: Path | None,
    heatmaps: Path | None,
    classifier: Path | None,
    runtime: str,
    threads: int | None,
) -> None:
    """Inspect each IMAGE (a file, or a folder of files) with PACKAGE, at the package's own limits.

    Prints outcome, reason, score and path. An image that cannot be inspected is a REJECT; its error goes to standard
    error, the others are inspected, and the exit code is 1.
    """
    from inspection.combined import load_detector
    from inspection.files import make_folder
    from inspection.json_files import STANDARD_OUTPUT, write_json
    from inspection.predict import ImagesNotInspected, heatmap_files, listed_images, predict_image

    paths = listed_images(images)
    detector = load_detector(package, classifier, runtime, threads)
    targets: list[Path] | list[None] = [None] * len(paths)
    if heatmaps:
        make_folder(heatmaps)
        targets = heatmap_files(paths, heatmaps)
    predictions = []
    for path, target in zip(paths, targets, strict=True):
        prediction = predict_image(detector, path, target)
        predictions.append(prediction)
        if prediction.failure:
            click.echo(f"inspection: {_printable(prediction.failure.message)} [{prediction.failure.code}]", err=True)
        if json_file != STANDARD_OUTPUT:
            click.echo(line(prediction))
    if json_file:
        content = {
            **detector.identity,
            "runtime": detector.runtime,
            "limits": detector.manifest.limits.model_dump(),
            **({"classifier_limits": detector.classifier.manifest.limits.model_dump()} if detector.classifier else {}),
            "images": [prediction.as_json() for prediction in predictions],
        }
        write_json(json_file, content)
    failed = sum(prediction.failure is not None for prediction in predictions)
    if failed and len(predictions) == 1:
        raise SystemExit(1)  # its error was printed, and says it all
    if failed:
        raise ImagesNotInspected(f"{failed} of {len(predictions)} images could not be inspected; see the errors above")


def line(prediction: "Prediction") -> str:
    """One prediction as a line of columns."""
    score = "-" if prediction.score is None else f"{prediction.score:.4g}"
    verdict = prediction.verdict
    named = ", ".join(f"{one.name} {100 * one.probability:.0f} %" for one in prediction.named)
    where = _printable(str(prediction.path))
    return f"{verdict.outcome:<7} {verdict.reason:<20} {score:>9}  {where}{f'  {named}' if named else ''}"


def _printable(text: str) -> str:
    """`text` without what a terminal's encoding lacks: a file's name may hold any bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")
