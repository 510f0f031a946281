"""The `inspection` command: a list of sub-commands that other packages register under `inspection.commands`.

An entry point's value is `module:command`; the module is imported when its sub-command is run or its help is
asked for, and command modules import heavy packages inside their functions, so that `--help` stays quick.
"""

import os
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from inspection import __version__
from inspection.errors import InspectionError

GROUP = "inspection.commands"


class RegisteredCommands(click.Group):
    """A click group whose members are the entry points of `inspection.commands`."""

    def _entries(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=GROUP)}

    def list_commands(self, _: click.Context) -> list[str]:
        return sorted(self._entries())

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        entry = self._entries().get(name)
        if entry is None:
            return None
        command: click.Command = entry.load()
        return command


@click.command(cls=RegisteredCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="inspection")
def cli() -> None:
    """Visual inspection for pharmaceutical manufacturing: train, serve, re-inspect, verify."""


def main(args: list[str] | None = None) -> None:
    """Run one sub-command. A known error is one sentence on stderr and exit code 1; an interrupt is exit code 130."""
    try:
        cli.main(args=args, prog_name="inspection", standalone_mode=False)
    except InspectionError as error:
        click.echo(f"inspection: {error} [{error.code}]", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("inspection: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
