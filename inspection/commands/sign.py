"""`inspection sign`: a person's signature under a record."""

from pathlib import Path

import click

from inspection.commands.options import signed_options


@click.command()
@click.argument("record")
@click.option("--meaning", required=True, help="reviewed, approved, released, rejected or responsible.")
@signed_options
def sign(record: str, meaning: str, archive: Path, by: str, password: str, why: str) -> None:
    """Sign RECORD (station/number) with your user name and password.

    A batch is signed by its record `batch_stopped`, which `inspection batch` names.
    """
    from inspection.accounts.sign_in import SignIn
    from inspection.archive import Archive
    from inspection.reviews import find_record
    from inspection.signatures import Signer, sign_record
    from inspection.signing import sign_heads, signing_key

    with Archive(archive) as opened:
        key = signing_key(opened)
        entry = find_record(opened, record)
        signed = sign_record(opened, key, entry, Signer(SignIn(opened), by, password), meaning, why)
        sign_heads(opened, key, [signed.station])
    click.echo(f"{signed.name}: {record} {meaning} by {signed.details['full_name']}, {signed.details['at'][:19]} UTC")
