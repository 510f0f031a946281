"""`inspection audit`: the audit trail, searched and exported."""

from pathlib import Path

import click

from inspection.commands.options import system_user


@click.command()
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@click.option("--by", help="Who did it; `system` for what nobody did.")
@click.option("--what", help="What was done, such as user_changed.")
@click.option("--since", help="From this time on, UTC: 2026-11-24 or 2026-11-24T08:00.")
@click.option("--until", help="Up to this time.")
@click.option("--text", help="Found anywhere in it.")
@click.option("--station", help="Of this chain; `audit` is people's.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many to show at most.")
@click.option(
    "--export", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write all to a .csv, .json or .pdf."
)
def audit(
    archive: Path, by: str | None, what: str | None, since: str | None, until: str | None, text: str | None,
    station: str | None, limit: int, file: Path | None,
) -> None:  # fmt: skip
    """Who did what, when and why: the newest first. The archive is only read."""
    from inspection.archive import Archive, refuse_inside
    from inspection.audit import AuditQuery, find_audit
    from inspection.audit_export import MEDIA_TYPES, export_audit, readable
    from inspection.errors import BadUsage
    from inspection.files import write_durably

    query = AuditQuery(by, what, since, until, text, station)
    with Archive(archive, read_only=True) as opened:
        if file is None:
            for event in find_audit(opened, query, limit):
                changed = " → ".join(readable(value) for value in (event.old, event.new) if value is not None)
                parts = [event.subject, changed, f"({event.why})" if event.why else ""]
                said = " ".join(part for part in parts if part)
                click.echo(f"{event.at[:19].replace('T', ' ')} UTC  {event.by}  {event.what}  {said}  [{event.record}]")
            return
        refuse_inside(archive, file, "--export", "file")
        form = file.suffix.lower().removeprefix(".")
        if form not in MEDIA_TYPES:
            raise BadUsage(f"--export {file} must end in .csv, .json or .pdf")
        events = list(find_audit(opened, query))
    write_durably(file, export_audit(events, form, query, system_user()))  # type: ignore[arg-type]
    click.echo(f"{file}: {len(events)} events")
