"""`inspection backup` and `inspection restore`."""

from pathlib import Path
from typing import Any

import click

from inspection.commands.options import as_option, password_option, system_user, why_option, writable_archive_option


@click.command()
@writable_archive_option
@click.option("--to", "out", required=True, type=click.Path(path_type=Path), help="The folder of the backup.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def backup(archive: Path, out: Path, quiet: bool) -> None:
    """Copy an archive that may be in use into a folder, verified; again into the same folder, only what is new.

    The signing key is not in it: keep a copy of that elsewhere.
    """
    from tqdm import tqdm

    from inspection.archive import Archive, refuse_inside
    from inspection.audit import SYSTEM, audit_draft, record_audit
    from inspection.backup import backup as make

    refuse_inside(archive, out, "--to", "folder")
    with (
        Archive(archive, read_only=True) as opened,
        tqdm(total=opened.count_entries(), unit="record", disable=True if quiet else None) as bar,
    ):
        found = make(opened, out, bar.update)
    with Archive(archive) as opened:
        said: dict[str, Any] = {"records": found.entries, "to": str(out.resolve()), "system_user": system_user()}
        record_audit(opened, audit_draft("backed_up", SYSTEM, "archive", **said))
    click.echo(f"{out}: {found.entries} records, {found.files} images and heatmaps, intact")


@click.command()
@click.option("--from", "folder", required=True, type=click.Path(path_type=Path), help="The folder of the backup.")
@click.option("--archive", "target", required=True, type=click.Path(path_type=Path), help="The new archive's folder.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@as_option
@password_option
@why_option
def restore(folder: Path, target: Path, quiet: bool, by: str, password: str, why: str) -> None:
    """Make a new archive from a backup. An `archive.yaml` in the new folder says where it is to lie.

    You are an administrator of the archive that was backed up.
    """
    from tqdm import tqdm

    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission
    from inspection.archive import Archive
    from inspection.audit import audit_draft, record_audit
    from inspection.backup import restore as make

    with tqdm(unit="record", disable=True if quiet else None) as bar:
        found = make(folder, target, bar.update)
    with Archive(target) as opened:
        authorise(opened, by, password, Permission.ADMINISTER, "restore")
        record_audit(opened, audit_draft("restored", by, "archive", new=str(folder.resolve()), why=why))
    click.echo(f"{target}: {found.entries} records, {found.files} images and heatmaps, intact")
