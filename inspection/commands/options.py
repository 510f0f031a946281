"""Options that several commands share."""

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from inspection.runtimes.names import AUTO, NAMES

Command = TypeVar("Command", bound=Callable[..., Any])

runtime_option = click.option(
    "--runtime",
    default=AUTO,
    show_default=True,
    type=click.Choice([AUTO, *NAMES]),
    help="The engine; auto takes the fastest that gives the package's golden scores.",
)

classifier_option = click.option(
    "--classifier",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A package that names defects, beside PACKAGE: a unit passes only where both pass it.",
)


def _existing(_: click.Context, __: click.Parameter, folder: Path) -> Path:
    from inspection.archive import ArchiveMissing
    from inspection.archive_settings import DATABASE_FILE, SETTINGS_FILE

    if not any((folder / name).is_file() for name in (DATABASE_FILE, SETTINGS_FILE)):
        raise ArchiveMissing(f"{folder} holds no archive (no {DATABASE_FILE}); give the folder of an archive")
    return folder


def system_user() -> str:
    """Who runs the command, as the machine knows them: a name, or a number where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def ask_password(file: Path | None) -> str:
    """The password in a file, in INSPECTION_PASSWORD, or asked for: never on the command line, where others see it."""
    from inspection.archive_settings import Secret

    if file is not None:
        return Secret(file=file).read("--password-file")
    return os.environ.get("INSPECTION_PASSWORD") or str(click.prompt("Password", hide_input=True))


def _password(_: click.Context, __: click.Parameter, file: Path | None) -> str:
    return ask_password(file)


writable_archive_option = click.option(
    "--archive", required=True, type=click.Path(path_type=Path), callback=_existing, help="The archive's folder."
)
as_option = click.option("--as", "by", required=True, help="Your user name.")
password_option = click.option(
    "--password-file",
    "password",
    type=click.Path(path_type=Path),
    callback=_password,
    help="A file with your password [default: the environment's INSPECTION_PASSWORD, or asked for].",
)
why_option = click.option("--why", required=True, help="The reason, for the audit trail.")


def signed_options(command: Command) -> Command:
    """What every signed step asks for: `archive`, `by`, `password` and `why`."""
    return writable_archive_option(as_option(password_option(why_option(command))))
