"""`inspection review`: a reviewer's decision on a unit, as a record."""

from pathlib import Path

import click

from inspection.commands.options import as_option, password_option, writable_archive_option


@click.command()
@click.argument("record")
@writable_archive_option
@click.option("--good", is_flag=True, help="The unit is good.")
@click.option("--label", "labels", multiple=True, help="A defect that the unit shows; may be repeated.")
@click.option("--cannot-tell", is_flag=True, help="The pictures do not tell; the unit counts as neither.")
@as_option
@password_option
@click.option("--comment", default="", help="Why.")
def review(
    record: str, archive: Path, good: bool, labels: tuple[str, ...], cannot_tell: bool, by: str, password: str,
    comment: str,
) -> None:  # fmt: skip
    """Record what a person found on the unit of RECORD (station/number): that it is good, or its defects.

    The unit's own record stays as it is; a later review counts instead of an earlier one.
    """
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.archive import Archive
    from inspection.errors import BadUsage
    from inspection.reviews import Decision, add_review

    if good + bool(labels) + cannot_tell != 1:
        raise BadUsage("say either --good or at least one --label, or --cannot-tell")
    with Archive(archive) as opened:
        authorise(opened, by, password, Permission.REVIEW, "review")
        decision = Decision.CANNOT_TELL if cannot_tell else None
        entry = add_review(opened, record, labels, by, comment, decision)
    said = "such that nobody can tell" if cannot_tell else ", ".join(sorted(set(labels))) or "good"
    click.echo(f"{entry.name}: {record} is {said}, says {by}")
