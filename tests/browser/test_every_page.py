"""What holds of every page: it is there for those who may see it, in every language, readable, and from here alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serve.pages.page import MENU
from tests.browser.looking import both_sizes, looking
from tests.serve.serving import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("name", "address"), [(name, address) for name, address, _, _ in MENU])
def test_each_page_of_the_menu(
    name: str, address: str, station: Running, browser: "Browser", screenshots: Path
) -> None:
    with looking(browser, station, "root.person", address) as look:
        assert look.page.locator(".bar nav [aria-current]").count() == 1
        both_sizes(look, screenshots, f"page-{name}")
    with looking(browser, station, "root.person", address, theme="dark") as look:
        look.accessible()
