"""Looking at pages as a person does: signed in, in a real browser that notes whatever goes wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from axe_playwright_python.sync_playwright import Axe

from tests.people import PASSWORD
from tests.serve.serving import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESKTOP, TABLET = (1440, 900), (800, 1100)
# The mark for a next picture is 100 ms on two cores of one's own, where it takes 30 to 70: so much is granted to cores
# that are shared with other tests.
BUSY_MS = 300
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Look:
    """A page that somebody has open, and what its browser did: addresses asked for, what went wrong."""

    page: "Page"
    station: Running
    addresses: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the station."""
        self.page.goto(self.station.address.rstrip("/") + path)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return self.page.locator(selector).inner_text()

    def press(self, keys: str) -> None:
        """Press keys, one after the other, with spaces between."""
        for key in keys.split():
            self.page.keyboard.press(key)

    def accessible(self) -> None:
        """Asserts that axe-core finds nothing against WCAG 2.2 AA on the page as it is now."""
        found = Axe().run(self.page, options={"runOnly": _RULES, "resultTypes": ["violations"]}).response["violations"]
        told = [f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:160]})" for one in found]
        assert not told, f"{self.page.url}: " + "; ".join(told)


def sign_in(look: Look, name: str) -> None:
    """As the page to sign in on does."""
    answer = look.page.context.request.post(
        look.station.address + "api/session", data={"name": name, "password": PASSWORD}
    )
    assert answer.ok, answer.text()


@contextmanager
def looking(
    browser: "Browser", station: Running, name: str = "root.person", path: str = "/",
    size: tuple[int, int] = DESKTOP, theme: Literal["light", "dark"] = "light",
) -> Iterator[Look]:  # fmt: skip
    """The page at `path`, open for the person `name`. In the end asserts that nothing went wrong in the browser, and
    that nothing was asked of another machine."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme,
                                  timezone_id="Europe/Berlin", locale="en-GB")  # fmt: skip
    page = context.new_page()
    look = Look(page, station)
    page.on("request", lambda request: look.addresses.append(request.url))
    page.on("console", lambda message: look.errors.append(message.text) if message.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: look.errors.append(str(error)))
    sign_in(look, name)
    look.go(path)
    try:
        yield look
        away = [one for one in look.addresses if not one.startswith((station.address, "data:", "blob:"))]
        assert not away, away
        assert not look.errors, look.errors
    finally:
        context.close()


def both_sizes(look: Look, screenshots: Path, name: str, *, settled: bool = True) -> None:
    """Pictures of the page at 1440 and at 800 pixels, for a person to look at, and axe's word on both. A page that is
    never `settled` asks for pictures all the time."""
    for width, height in (DESKTOP, TABLET):
        look.page.set_viewport_size({"width": width, "height": height})
        if settled:
            look.page.wait_for_load_state("networkidle")
        look.accessible()
        wide = look.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{look.page.url} is {wide} px wide in a window of {width}"
        look.page.screenshot(path=screenshots / f"{name}-{width}.png", full_page=True)
    look.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
