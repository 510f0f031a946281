"""`inspection export-reviewed`: reviewers' decisions as a labelled dataset."""

from pathlib import Path

import click


@click.command()
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="An empty or new folder.")
def export_reviewed(archive: Path, out: Path) -> None:
    """Write the images of reviewed units, their labels and where each label comes from.

    `inspection train classifier --layout table --root OUT` learns from them. The archive is only read.
    """
    from data.reviewed import export_reviewed as export
    from inspection.archive import Archive

    with Archive(archive, read_only=True) as opened:
        exported = export(opened, out)
    counts = ", ".join(f"{count} {label}" for label, count in exported.labels.items())
    click.echo(f"{out}: {sum(exported.labels.values())} images: {counts}")
    if exported.without_image:
        click.echo(f"{exported.without_image} reviewed units have no image")
