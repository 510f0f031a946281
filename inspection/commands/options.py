"""Options that several commands share."""

from pathlib import Path

import click

from inspection.runtimes.names import AUTO, NAMES

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
