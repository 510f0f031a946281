"""`inspection review`: a reviewer's decision on a unit, as a record."""

from pathlib import Path

import click

from inspection.commands.options import as_option, password_option, writable_archive_option


@click.command()
@click.argument("record")
@writable_archive_option
@click.option("--good", is_flag=True, help="The unit is good.")
@click.option("--label", "labels", multiple=True, help="A defect that the unit shows; may be repeated.")
@as_option
@password_option
@click.option("--comment", default="", help="Why.")
def review(
    record: str, archive: Path, good: bool, labels: tuple[str, ...], by: str, password: str, comment: str
) -> None:
    """Record what a person found on the unit of RECORD (station/number): that it is good, or its defects.

    The unit's own record stays as it is; a later review counts instead of an earlier one.
    """
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.archive import Archive
    from inspection.errors import BadUsage
    from inspection.reviews import add_review

    if good == bool(labels):
        raise BadUsage("say either --good or at least one --label")
    with Archive(archive) as opened:
        authorise(opened, by, password, Permission.REVIEW, "review")
        entry = add_review(opened, record, labels, by, comment)
    click.echo(f"{entry.name}: {record} is {', '.join(sorted(set(labels))) or 'good'}, says {by}")
