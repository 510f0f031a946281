"""Looking at pages as a person does: signed in, in a real browser that notes whatever goes wrong."""

import statistics
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
# Two pictures of noise that change places at each key: the least that a browser does for a next picture.
_BARE = """async () => {
  document.body.innerHTML = "<img width=640 height=640>";
  const shown = document.querySelector("img"), pictures = [];
  for (const seed of [1, 2]) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 640 });
    const pen = canvas.getContext("2d"), data = pen.createImageData(640, 640);
    for (let at = 0; at < data.data.length; at += 1) data.data[at] = at % 4 === 3 ? 255 : (at * 7919 * seed) % 251;
    pen.putImageData(data, 0, 0);
    const picture = Object.assign(new Image(), { src: canvas.toDataURL(), width: 640, height: 640 });
    await picture.decode();
    pictures.push(picture);
  }
  window.took = []; let next = 0;
  addEventListener("keydown", () => {
    const pressed = performance.now();
    document.body.replaceChildren(pictures[next]);
    next = 1 - next;
    requestAnimationFrame(() => setTimeout(() => took.push(performance.now() - pressed), 0));
  });
}"""
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


def bare_ms(look: Look) -> float:
    """Median milliseconds from a key to another picture on a page that does nothing else, in this browser, now. What a
    page takes is judged against it, for a machine that tests share with others takes as long as it likes."""
    page = look.page.context.new_page()
    page.evaluate(_BARE)
    for _ in range(15):
        page.keyboard.press("f")
        page.wait_for_timeout(60)
    page.wait_for_function("took.length === 15")
    took: list[float] = page.evaluate("took")
    page.close()
    return statistics.median(took)


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
