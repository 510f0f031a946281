"""`inspection retention`: remove what the rules say, on record."""

from pathlib import Path

import click

from inspection.commands.options import signed_options


@click.command()
@click.argument("rules", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@signed_options
def retention(rules: Path, dry_run: bool, archive: Path, by: str, password: str, why: str) -> None:
    """Remove images, heatmaps, thumbnails and records that are older than RULES (a YAML file) say, each removal with a
    signed record. `inspection verify` knows what was removed by it from what is missing."""
    from inspection.accounts.sign_in import SignIn
    from inspection.accounts.users import utc_now
    from inspection.archive import Archive
    from inspection.records import AUDIT
    from inspection.retention import apply_removals, plan_removals, read_rules
    from inspection.signatures import Signer
    from inspection.signing import sign_heads, signing_key

    wanted = read_rules(rules)
    with Archive(archive) as opened:
        removals = plan_removals(opened, wanted, utc_now())
        for removal in removals:
            rule = removal.rule
            what = "records" if rule.kind == "record" else f"{rule.kind}s of {rule.outcome} units"
            records = f"{removal.records} records, " if rule.kind == "record" else ""
            click.echo(f"{what} before {removal.before[:19]} UTC: {records}{len(removal.names)} files")
        if dry_run:
            return
        key = signing_key(opened)
        done = apply_removals(opened, key, removals, Signer(SignIn(opened), by, password), why)
        sign_heads(opened, key, [AUDIT])
    click.echo(f"removed; on record as {', '.join(entry.name for entry in done)}" if done else "nothing to remove")
