"""What the tests of batches, the audit trail, accounts and settings share: a station of their own that they change."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.conftest import EVERYBODY
from tests.people import people
from tests.serve.serving import Running, running, write_recipe

if TYPE_CHECKING:
    from tests.browser.looking import Look


@contextmanager
def own_station(folder: Path, package: Path) -> Iterator[Running]:
    """A station without a camera, with an account of each role."""
    people(folder / "archive", **EVERYBODY)
    with running(write_recipe(folder, package), folder / "archive") as started:
        yield started


def refused(look: "Look") -> None:
    """The browser notes each answer that refuses something; what the test asked for is no fault."""
    look.errors[:] = [one for one in look.errors if not one.startswith("Failed to load resource")]


def fill(look: "Look", dialog: str, **values: str) -> None:
    """Type into a dialog's fields."""
    for name, value in values.items():
        look.page.locator(f"#{dialog} [name={name}]").fill(value)


def send(look: "Look", dialog: str) -> None:
    """Press what the dialog does."""
    look.page.locator(f"#{dialog} form button:not([type=button])").click()


def fault(look: "Look", dialog: str) -> str:
    """What the dialog says is wrong."""
    shown = look.page.locator(f"#{dialog} .fault[role=alert]")
    shown.wait_for()
    return shown.inner_text()
