"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option(
        "--layout",
        default="mvtec",
        show_default=True,
        help="How the dataset is laid out: mvtec, visa, folder or table.",
    ),
    click.option(
        "--root", required=True, type=click.Path(path_type=Path), help="The folder that holds the categories."
    ),
    click.option("--category", help="The product: a folder in ROOT (the folder layout may leave it out)."),
    click.option("--split-seed", default=0, show_default=True, help="As it was for `train`."),
)


def dataset_options(command: Command) -> Command:
    """The options that name a labelled dataset to evaluate on, in the order they are listed."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
