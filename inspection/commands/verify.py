"""`inspection verify`: whether an archive is still as it was recorded."""

from pathlib import Path

import click

from inspection.errors import InspectionError


class ArchiveAltered(InspectionError):
    """Something in the archive is not as it was recorded."""

    code = "archive_altered"


@click.command()
@click.option(
    "--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder, or an exported batch's."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write what was found here, or to standard output (-).",
)
@click.option(
    "--public-key",
    "key_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Whose signatures count (PEM or base64); may be repeated. Without it any key's do.",
)
@click.option("--heads", "heads_file", type=click.Path(path_type=Path), help="Signed heads from a copy kept elsewhere.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def verify(
    archive: Path, json_file: Path | None, key_files: tuple[Path, ...], heads_file: Path | None, quiet: bool
) -> None:
    """Check every record, every chain of records with its signed heads, and every image of an archive; name all that
    does not fit.

    The exit code is 0 for an intact archive. Nothing is written to it. With --heads, what `inspection heads` wrote
    earlier must still be there: so an archive that was cut off or made anew as a whole is found out.
    """
    from tqdm import tqdm

    from inspection.batch_export import is_export, verify_export
    from inspection.heads_file import read_heads
    from inspection.json_files import STANDARD_OUTPUT, write_json
    from inspection.signing import read_public_key
    from inspection.verify import Trust, count_records, verify_archive

    keys = frozenset(read_public_key(path) for path in key_files)
    trust = Trust(keys, read_heads(heads_file, keys) if heads_file else ())
    exported = is_export(archive)
    total = None if exported else count_records(archive)
    with tqdm(total=total, desc="verifying", unit="record", disable=True if quiet else None) as bar:
        found = (verify_export if exported else verify_archive)(archive, bar.update, trust)
    if json_file:
        content = {
            "intact": found.intact,
            "records": found.entries,
            "files": found.files,
            "stations": found.heads,
            "signed_through": found.signed,
            "keys": sorted(found.keys),
            "problems": found.problems,
        }
        write_json(json_file, content)
    if json_file != STANDARD_OUTPUT:
        for problem in found.problems:
            click.echo(problem)
    if not found.intact:
        count = len(found.problems)
        raise ArchiveAltered(
            f"{archive} was altered in {count} place{'' if count == 1 else 's'}; restore it from its backup"
        )
    if json_file != STANDARD_OUTPUT:
        stations = len(found.heads)
        what = "exported batch" if exported else "archive"
        click.echo(f"{what} intact: {found.entries} records, {found.files} images and heatmaps, {stations} stations")
        for station, sequence in found.signed.items():
            click.echo(f"  {station}: signed up to record {sequence}")
        if found.keys and not keys:
            said = ", ".join(f"{key[:16]}…" for key in sorted(found.keys))
            click.echo(f"  signed with the key {said}; give --public-key to accept this one alone")
