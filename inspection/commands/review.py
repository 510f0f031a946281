"""`inspection review`: a reviewer's decision on a unit, as a record."""

from pathlib import Path

import click


@click.command()
@click.argument("record")
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@click.option("--good", is_flag=True, help="The unit is good.")
@click.option("--label", "labels", multiple=True, help="A defect that the unit shows; may be repeated.")
@click.option("--reviewer", required=True, help="Who decides.")
@click.option("--comment", default="", help="Why.")
def review(record: str, archive: Path, good: bool, labels: tuple[str, ...], reviewer: str, comment: str) -> None:
    """Record what a person found on the unit of RECORD (station/number): that it is good, or its defects.

    The unit's own record stays as it is; a later review counts instead of an earlier one.
    """
    from inspection.archive import Archive, ArchiveMissing
    from inspection.errors import BadUsage
    from inspection.reviews import add_review

    if good == bool(labels):
        raise BadUsage("say either --good or at least one --label")
    if not (archive / "archive.sqlite").is_file():
        raise ArchiveMissing(f"{archive} holds no archive (no archive.sqlite); give the folder of an archive")
    with Archive(archive) as opened:
        entry = add_review(opened, record, labels, reviewer, comment)
    click.echo(f"{entry.name}: {record} is {', '.join(sorted(set(labels))) or 'good'}, says {reviewer}")
