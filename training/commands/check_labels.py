"""`inspection check-labels`: which labels of a dataset to look at again."""

from dataclasses import asdict
from pathlib import Path

import click

from training.commands.options import folder_options


@click.command()
@folder_options("table")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the list here.")
@click.option("--size", default=384, show_default=True, help="Side of a square with the model input's area, in pixels.")
@click.option("--region", default="auto", show_default=True, help="What is inspected: as for `train anomaly`.")
@click.option(
    "--colour", default="rgb", show_default=True, type=click.Choice(["rgb", "mono"]), help="What the camera gives."
)
@click.option("--folds", default=5, show_default=True, help="Parts of the images, each judged by the others.")
@click.option("--seed", default=0, show_default=True)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def check_labels(
    layout: str,
    root: Path,
    category: str | None,
    json_file: Path | None,
    size: int,
    region: str,
    colour: str,
    folds: int,
    seed: int,
    quiet: bool,
) -> None:
    """Name the images whose label a classifier that has not seen them surely contradicts, the surest first."""
    from data.labelled import labelled_files
    from inspection.errors import BadUsage
    from inspection.files import make_folder
    from inspection.json_files import write_json
    from training.classifier_options import ClassifierOptions
    from training.cross_validation import cross_validate
    from training.label_check import doubts

    if not 3 <= folds <= 20:
        raise BadUsage(f"--folds must be between 3 and 20, got {folds}")
    if json_file:
        make_folder(json_file.parent)
    options = ClassifierOptions(size=size, region=region, colour="mono" if colour == "mono" else "rgb", seed=seed)
    files = labelled_files(layout, root, category, options.colour)
    found = []
    for manifest, scored in cross_validate(layout, root, category, files, options, folds=folds, quiet=quiet):
        found += doubts(scored, manifest)
    found.sort(key=lambda doubt: (doubt.label_probability, doubt.file))
    for doubt in found:
        click.echo(
            f"{doubt.file}: labelled {doubt.label} ({100 * doubt.label_probability:.1f} %), looks like {doubt.answer} "
            f"({100 * doubt.answer_probability:.1f} %)"
        )
    click.echo(f"{len(found)} of {len(files)} labels in doubt")
    if json_file:
        write_json(json_file, [asdict(doubt) for doubt in found])
