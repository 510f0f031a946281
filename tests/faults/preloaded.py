"""Small C libraries that are loaded before a program and stand between it and the system."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import missing


def compiled(name: str, folder: Path) -> Path:
    """The library of `tests/faults/<name>.c`, made in the folder."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        missing(f"there is no C compiler: {name}.c cannot be used")
    library = folder / f"{name}.so"
    words = ["-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(Path(__file__).with_name(f"{name}.c"))]
    subprocess.run([str(compiler), *words, "-ldl", "-lpthread"], check=True)
    return library
