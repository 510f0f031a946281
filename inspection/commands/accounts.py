"""`inspection user`, `inspection token` and `inspection policy`: the accounts of an archive."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inspection.commands.options import password_option, signed_options, writable_archive_option

if TYPE_CHECKING:
    from inspection.accounts.users import User
    from inspection.archive import Archive


@click.group()
def user() -> None:
    """The accounts of an archive. All but `setup` and `list` ask who does it: an administrator."""


@user.command()
@click.argument("name")
@click.option("--full-name", required=True, help="First and last name.")
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
@password_option
def setup(name: str, full_name: str, archive: Path, password: str) -> None:
    """Make the first account of an archive, an administrator's, with the user name NAME."""
    from inspection.accounts.users import create_first
    from inspection.archive import Archive

    with Archive(archive) as opened:
        made = create_first(opened, name, full_name, password)
    click.echo(_told(made))


@user.command("list")
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
def list_(archive: Path) -> None:
    """All accounts."""
    from inspection.accounts.users import list_users
    from inspection.archive import Archive

    with Archive(archive, read_only=True) as opened:
        for one in list_users(opened):
            click.echo(_told(one))


@user.command()
@click.argument("name")
@click.option("--full-name", required=True, help="First and last name.")
@click.option("--role", "roles", multiple=True, required=True, help="A role; may be repeated.")
@signed_options
def add(name: str, full_name: str, roles: tuple[str, ...], archive: Path, by: str, password: str, why: str) -> None:
    """Make an account with the user name NAME; its first password is written to standard output."""
    from inspection.accounts.passwords import new_password
    from inspection.accounts.users import create_user
    from inspection.archive import Archive

    with Archive(archive) as opened:
        _administrator(opened, by, password)
        initial = new_password()
        click.echo(_told(create_user(opened, name, full_name, roles, initial, by, why)))
    click.echo(f"first password: {initial}")


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="All roles from now on; may be repeated.")
@click.option("--full-name", help="First and last name.")
@click.option("--disable", is_flag=True, help="Nobody can sign in with it any more.")
@click.option("--enable", is_flag=True, help="One can again.")
@click.option("--unlock", is_flag=True, help="After too many wrong passwords.")
@click.option("--oidc-subject", help="The identity (`sub`) at the plant's sign-in service.")
@signed_options
def change(
    name: str, roles: tuple[str, ...], full_name: str | None, disable: bool, enable: bool, unlock: bool,
    oidc_subject: str | None, archive: Path, by: str, password: str, why: str,
) -> None:  # fmt: skip
    """Change the account NAME."""
    from inspection.accounts.users import change_user, unlock_user
    from inspection.archive import Archive
    from inspection.errors import BadUsage

    if disable and enable:
        raise BadUsage("give either --disable or --enable")
    with Archive(archive) as opened:
        _administrator(opened, by, password)
        if unlock:
            unlock_user(opened, name, by, why)
        changed = change_user(
            opened, name, by, why, full_name=full_name, roles=roles or None, oidc_subject=oidc_subject,
            active=False if disable else True if enable else None,
        )  # fmt: skip
        click.echo(_told(changed))


@user.command()
@click.argument("name")
@signed_options
def reset(name: str, archive: Path, by: str, password: str, why: str) -> None:
    """Give the account NAME another password, which its owner must change; it is written to standard output."""
    from inspection.accounts.passwords import new_password
    from inspection.accounts.sign_in import SignIn
    from inspection.archive import Archive

    with Archive(archive) as opened:
        _administrator(opened, by, password)
        initial = new_password()
        SignIn(opened).reset_password(name, initial, by, why)
    click.echo(f"{name} must change the password at the next sign-in\nfirst password: {initial}")


@click.group()
def token() -> None:
    """How machines are known to the service."""


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; may be repeated.")
@click.option("--days", type=click.IntRange(1), help="How long it lasts [default: as long as the policy allows].")
@signed_options
def create(
    name: str, scopes: tuple[str, ...], days: int | None, archive: Path, by: str, password: str, why: str
) -> None:
    """Make a token; it is written to standard output once, and known to nobody else."""
    from inspection.accounts.tokens import create_token
    from inspection.archive import Archive

    with Archive(archive) as opened:
        _administrator(opened, by, password)
        click.echo(create_token(opened, name, scopes, by, why, days))


@token.command("list")
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="The archive's folder.")
def list_tokens_(archive: Path) -> None:
    """All tokens, never their text."""
    from inspection.accounts.tokens import list_tokens
    from inspection.archive import Archive

    with Archive(archive, read_only=True) as opened:
        for one in list_tokens(opened):
            state = f"revoked {one.revoked_at[:10]}" if one.revoked_at else f"until {one.expires_at[:10]}"
            click.echo(f"{one.name}: {', '.join(one.scopes)}; {state}; made by {one.created_by}")


@token.command()
@click.argument("name")
@signed_options
def revoke(name: str, archive: Path, by: str, password: str, why: str) -> None:
    """Let a token be worth nothing."""
    from inspection.accounts.tokens import revoke_token
    from inspection.archive import Archive

    with Archive(archive) as opened:
        _administrator(opened, by, password)
        revoke_token(opened, name, by, why)
    click.echo(f"{name} is worth nothing any more")


@click.command()
@click.option("--set", "changes", multiple=True, metavar="RULE=VALUE", help="Change a rule; may be repeated.")
@writable_archive_option
@click.option("--as", "by", help="The administrator who changes it.")
@click.option("--why", default="", help="The reason, for the audit trail.")
def policy(changes: tuple[str, ...], archive: Path, by: str | None, why: str) -> None:
    """The rules of accounts: length and age of passwords, lock-out, how long sessions last."""
    from inspection.accounts.policy import change_policy, read_policy
    from inspection.archive import Archive
    from inspection.commands.options import ask_password
    from inspection.errors import BadUsage

    wanted: dict[str, Any] = {}
    for text in changes:
        name, mark, value = text.partition("=")
        if not mark:
            raise BadUsage(f"--set wants a rule and a value, such as password_days=60, got {text!r}")
        wanted[name] = value
    if not wanted:
        with Archive(archive, read_only=True) as opened, opened.reader() as connection:
            rules = read_policy(connection)
    else:
        if not by or len(why) < 3:
            raise BadUsage("to change a rule say who does it (--as) and why (--why)")
        with Archive(archive) as opened:
            _administrator(opened, by, ask_password(None))
            rules = change_policy(opened, wanted, by, why)
    for name, value in rules.model_dump().items():
        click.echo(f"{name}: {value}")


def _administrator(archive: "Archive", by: str, password: str) -> None:
    from inspection.accounts.authorise import authorise
    from inspection.accounts.roles import Permission

    authorise(archive, by, password, Permission.ADMINISTER, "account administration")


def _told(one: "User") -> str:
    from inspection.accounts.users import utc_now

    change = ", must change the password" if one.must_change else ""
    return f"{one.name} ({one.full_name}): {', '.join(one.roles)}; {one.state(utc_now())}{change}"
