"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def folder_options(layout: str = "mvtec") -> Callable[[Command], Command]:
    """The options that name a folder of images, in the order they are listed; `layout` is the default one."""
    options = (
        click.option(
            "--layout",
            default=layout,
            show_default=True,
            help="How the dataset is laid out: mvtec, visa, folder or table.",
        ),
        click.option(
            "--root", required=True, type=click.Path(path_type=Path), help="The folder that holds the categories."
        ),
        click.option("--category", help="The product: a folder in ROOT (folder and table layouts may leave it out)."),
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def dataset_options(command: Command) -> Command:
    """The options that name a labelled dataset to evaluate on, in the order they are listed."""
    command = click.option("--split-seed", default=0, show_default=True, help="As it was for `train`.")(command)
    return folder_options()(command)
