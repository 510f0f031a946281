"""`inspection export-batch`: a batch as a folder that stands for itself."""

from pathlib import Path

import click

from inspection.commands.options import system_user, writable_archive_option


@click.command()
@click.argument("batch")
@writable_archive_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The new folder.")
def export_batch(batch: str, archive: Path, out: Path) -> None:
    """Write BATCH's records (Parquet), images and signed manifest to a folder, which `inspection verify --archive OUT`
    accepts without this archive."""
    from inspection.archive import Archive, refuse_inside
    from inspection.audit import SYSTEM, audit_draft, record_audit
    from inspection.batch_export import export_batch as export
    from inspection.signing import sign_heads, signing_key

    refuse_inside(archive, out, "--out", "folder")
    with Archive(archive) as opened:
        key = signing_key(opened)
        sign_heads(opened, key)
        manifest = export(opened, batch, out, key)
        said = {"to": str(out.resolve()), "system_user": system_user()}
        record_audit(opened, audit_draft("batch_exported", SYSTEM, batch, **said))
    records = sum(part["last"] - part["first"] + 1 for part in manifest["chains"])
    click.echo(f"{out}: {records} records, {manifest['images']} images and heatmaps of batch {batch}")
