"""The licences of all that the product needs at run time: the table in docs/licences.md."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

_HEAD = """# Licences

What is installed with the product at run time (`make demo`), by what the packages say of themselves. Made by
`python -m benchmarks.licences > docs/licences.md`; `tests/test_licences.py` keeps it true. asyncua and psycopg are
LGPL: they are used as libraries, unchanged, and can be exchanged.

| package | licence |
|---|---|"""


def needed(name: str, found: dict[str, Distribution] | None = None) -> dict[str, Distribution]:
    """All that a package needs, by name, without its extras but those that are asked for."""
    found = {} if found is None else found
    for text in distribution(name).requires or []:
        wanted = Requirement(text)
        key = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
            continue
        if key not in found:
            try:
                found[key] = distribution(wanted.name)
            except PackageNotFoundError:
                continue
            needed(wanted.name, found)
    return found


def licence(one: Distribution) -> str:
    """What it says of its licence, in a few words."""
    said = _field(one, "License-Expression")
    if not said:
        classes = [text for text in one.metadata.get_all("Classifier") or [] if text.startswith("License ::")]
        said = ", ".join(text.rpartition(" :: ")[2] for text in classes if text.count("::") > 1)
    if not said:
        said = (_field(one, "License") or "not said").strip().splitlines()[0]
    return " ".join(said.split())[:80]


def _field(one: Distribution, name: str) -> str:
    return str(one.metadata[name]) if name in one.metadata else ""


def table() -> str:
    """The page."""
    rows = [f"| {name} | {licence(one)} |" for name, one in sorted(needed("pharma-inspection").items())]
    return "\n".join([_HEAD, *rows]) + "\n"


if __name__ == "__main__":
    print(table(), end="")
