"""Results as JSON: to a file that is whole or absent, or to standard output for another program."""

import json
from pathlib import Path
from typing import Any

import click

from inspection.files import make_folder, write_durably

STANDARD_OUTPUT = Path("-")


def json_bytes(value: Any) -> bytes:
    """ASCII JSON of plain values, one key a line, with a line end. NaN is refused with ValueError: JSON has none."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode("ascii")


def write_json(path: Path, value: Any) -> None:
    """Write `value` durably to `path`, or to standard output where `path` is `-`. Raises OutputNotWritable."""
    if path == STANDARD_OUTPUT:
        click.echo(json_bytes(value), nl=False)
        return
    make_folder(path.parent)
    write_durably(path, json_bytes(value))
