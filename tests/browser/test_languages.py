"""Every word that a page shows comes from the texts, or is data: with all texts replaced, nothing else can be read."""

import re
from typing import TYPE_CHECKING

import pytest

from serve import templating
from serve.pages.page import MENU
from serve.texts import Texts, read_texts
from tests.browser.looking import looking
from tests.serve.serving import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(300)
# Visible text of each element of its own, and what screen readers are told; not of what says that it is no language.
_READ = """() => {
  const found = [];
  const skipped = "script, style, noscript, code, time, kbd, [translate=no], svg";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest(skipped) && node.data.trim()) found.push(node.data.trim());
  }
  for (const one of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
    if (one.closest(skipped)) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt"]) found.push(one.getAttribute(name) || "");
  }
  return found;
}"""


_DATA = ("api/status", "api/records?limit=200", "api/users", "api/audit?limit=200", "api/batches", "api/policy")

_FILES = "archive.sqlite images signing.key"
_NAMES = {"CSV", "JSON", "PDF", "PNG", "SHA", "UTC", "Europe", "Berlin"}  # the same in every language


def pseudo() -> Texts:
    """The texts in a language in which every one stands in brackets."""
    return Texts("xx", {key: f"⟦{text}⟧" for key, text in read_texts().all().items()})


def unmarked(text: str) -> str:
    """What of it stands in no brackets; a text may have another one within."""
    while (inner := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
        text = inner
    return text


def words(value: object) -> set[str]:
    """All words in data of any shape."""
    if isinstance(value, dict):
        return set().union(*(words(key) | words(one) for key, one in value.items()))
    if isinstance(value, list):
        return set().union(*map(words, value))
    return set(re.findall(r"[^\W\d_]{3,}", str(value)))


@pytest.mark.parametrize(
    "address",
    [address for _, address, _, _ in MENU]
    + ["/account", "/challenge", "/records/station-1/4", "/batches/B-1", "/sign-in"],
)
def test_every_word_is_a_text_or_data(
    address: str, station: Running, browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = pseudo()
    monkeypatch.setattr(templating, "read_texts", lambda _language="en": texts)
    with looking(browser, station, "root.person", address) as look:
        look.page.wait_for_load_state("networkidle")
        read: list[str] = look.page.evaluate(_READ)
        data = words([look.page.context.request.get(station.address + path).json() for path in _DATA])
        data |= words([str(station.service.archive.folder), str(station.service.line.recipe_file), _FILES])
    assert any("⟦" in text for text in read)
    left = {text: sorted(words(unmarked(text)) - data - _NAMES) for text in read}
    assert not {text: unknown for text, unknown in left.items() if unknown}
