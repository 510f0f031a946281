"""What is installed with the product may be used in a commercial one, and the page says what it is."""

import re
from importlib.metadata import distribution
from pathlib import Path

from benchmarks.licences import licence, needed

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
_ALLOWED = re.compile(
    r"apache|mit|bsd|isc|psf|python|lgpl|lesser|mpl|mozilla|zlib|hpnd|unlicense|0bsd|public domain|cc0", re.I
)
_REFUSED = re.compile(r"affero|agpl|non-?commercial|(?<!l)gpl(?!.*(lesser|exception))|sspl|busl", re.I)


def test_every_licence_allows_commercial_use() -> None:
    everything = needed("pharma-inspection") | {"ray": distribution("ray")} | needed("ray")
    found = {name: licence(one) for name, one in everything.items()}
    assert len(found) > 40
    assert {name: said for name, said in found.items() if not _ALLOWED.search(said) or _REFUSED.search(said)} == {}


def test_the_page_lists_them_all() -> None:
    listed = set(re.findall(r"^\| ([a-z0-9.-]+) \|", PAGE.read_text(), re.M)) - {"package"}
    assert set(needed("pharma-inspection")) <= listed
