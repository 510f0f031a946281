"""Options that several commands share."""

import click

from inspection.runtimes.names import AUTO, NAMES

runtime_option = click.option(
    "--runtime",
    default=AUTO,
    show_default=True,
    type=click.Choice([AUTO, *NAMES]),
    help="The engine; auto takes the fastest that gives the package's golden scores.",
)
