"""`inspection heads`: the signed heads of an archive's chains, to be kept by somebody else."""

from pathlib import Path

import click


@click.command()
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write the heads to."
)
@click.option(
    "--public-key", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the public key here."
)
@click.option("--sign", is_flag=True, help="Sign the chains as they are now first; this needs the archive's key.")
def heads(archive: Path, out: Path, key_file: Path | None, sign: bool) -> None:
    """Write the signed heads of an archive's chains to a file that somebody else keeps.

    `inspection verify --heads FILE --public-key KEY` finds whatever was changed, cut off or made anew afterwards.
    """
    from inspection.archive import Archive, refuse_inside
    from inspection.files import write_durably
    from inspection.heads_file import FORMAT, signed_heads
    from inspection.json_files import write_json
    from inspection.signing import sign_heads, signing_key

    refuse_inside(archive, out, "--out", "file")
    with Archive(archive, read_only=True) as opened:
        opened.count_entries()
    if sign:
        with Archive(archive) as opened:
            sign_heads(opened, signing_key(opened))
    with Archive(archive, read_only=True) as opened:
        found = list(signed_heads(opened))
    write_json(out, {"format": FORMAT, "heads": found})
    stations = {head["station"] for head in found}
    click.echo(f"{out}: {len(found)} signed heads of {len(stations)} stations")
    if key_file and found:
        write_durably(key_file, str(found[-1]["public_key"]).encode() + b"\n")
        click.echo(f"{key_file}: the public key")
