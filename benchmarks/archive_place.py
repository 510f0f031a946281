"""Where a benchmark keeps the archive that it measures."""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """`--folder` and `--database`."""
    parser.add_argument("--folder", type=Path, help="Where to write [default: a temporary folder].")
    parser.add_argument("--database", help="The address of a PostgreSQL database instead of SQLite.")


@contextmanager
def archive_place(options: argparse.Namespace) -> Iterator[Path]:
    """The archive's folder, as the options say; a temporary one is removed."""
    place = options.folder or Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        (place / "archive").mkdir(parents=True, exist_ok=True)
        if options.database:
            (place / "archive" / "archive.yaml").write_text(f"database: {options.database}\n")
        yield place / "archive"
    finally:
        if options.folder is None:
            shutil.rmtree(place)
