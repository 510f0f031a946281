"""`inspection export-selection`: units found in the archive as a training set."""

from pathlib import Path

import click

from inspection.commands.options import as_option, password_option, writable_archive_option


@click.command()
@writable_archive_option
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="An empty or new folder.")
@click.option(
    "--record", "records", multiple=True, help="One record (station/number) instead of a search; may be repeated."
)
@click.option("--batch", help="Of this batch.")
@click.option("--since", help="From this time on, UTC: 2026-11-24 or 2026-11-24T08:00.")
@click.option("--until", help="Up to this time.")
@click.option("--outcome", type=click.Choice(["PASS", "REVIEW", "REJECT", "not_passed"]), help="With this verdict.")
@click.option("--reason", help="With this reason code.")
@click.option("--min-score", type=float, help="With this score at least.")
@click.option("--max-score", type=float, help="With this score at most.")
@click.option("--defect", help="On which a classifier surely named this defect.")
@click.option("--package", help="Judged by the package with this SHA-256.")
@click.option("--recipe", help="Of this recipe, as records have it: name and version.")
@click.option("--product", help="Of this product.")
@click.option("--station", help="Of this station.")
@click.option("--unit", help="With this id.")
@click.option("--reviewed", help="Reviewed as this defect, or good, cannot_tell, any, none.")
@as_option
@password_option
def export_selection(
    archive: Path, out: Path, records: tuple[str, ...], by: str, password: str, package: str | None,
    since: str | None, until: str | None, **filters: "str | float | None",
) -> None:  # fmt: skip
    """Write the images of units that fit all that is given into OUT, in folders by their label: what a review says,
    else the verdict. `inspection train anomaly --layout folder --root OUT` and `train classifier` read it.

    At most 10,000 units. The export is on the audit trail.
    """
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.archive import Archive
    from inspection.errors import BadUsage
    from inspection.search import matching, records_named
    from inspection.search_query import RecordQuery, utc_moment
    from inspection.selection import MOST_UNITS, select_pictures
    from inspection.selection_export import Asked, check_out, note_export, write_selection

    query = RecordQuery(
        **filters, packages=(package.lower(),) if package else (),  # type: ignore[arg-type]
        since=utc_moment(since) if since else None, until=utc_moment(until) if until else None,
    )  # fmt: skip
    if records and query.plain() != RecordQuery().plain():
        raise BadUsage("give either --record or what to search for, not both")
    with Archive(archive) as opened:
        check_out(opened, out)
        user = authorise(opened, by, password, Permission.EXPORT, "export-selection")
        units = records_named(opened, records) if records else matching(opened, query, MOST_UNITS)
        selection = select_pictures(opened, units)
        asked = Asked(user.name, {"records": len(records)} if records else query.plain())
        manifest = write_selection(opened, selection, asked, note_export(opened, selection, asked), out)
    folders = ", ".join(f"{count} {name}" for name, count in manifest["folders"].items())
    click.echo(f"{out}: {manifest['images']} images of {manifest['units']} units: {folders}")
    for why, left in manifest["left_out"].items():
        click.echo(f"{left['units']} units left out: {why.replace('_', ' ')}")
