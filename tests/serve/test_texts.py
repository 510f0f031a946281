"""Texts are in one place: whatever a page asks for is there, nothing is there that no page asks for, and a translation
says everything."""

import re
from pathlib import Path

import pytest

from inspection.accounts.roles import Permission
from inspection.verdict import Outcome, Reason
from serve.numbers import number, percent
from serve.texts import languages, read_texts

SERVE = Path(__file__).parent.parent.parent / "serve"
SOURCES = [
    *SERVE.glob("templates/*.html"),
    *SERVE.glob("static/*.js"),
    *SERVE.glob("pages/*.py"),
    SERVE / "problems.py",
]
# t("file.key"), "file.key" in a table of them, and t("file." ~ name) or t(`file.${name}`) for a family of keys.
_WHOLE = re.compile(r"""["'`]([a-z_]+\.[A-Za-z0-9_]+)["'`]""")
_FAMILY = re.compile(r"""["'`]([a-z_]+\.[A-Za-z0-9_]*)(?:["'] ?[~+]|\$\{|\{)""")


def asked() -> tuple[set[str], set[str]]:
    files = {path.stem for path in (SERVE / "texts" / "en").glob("*.yaml")}
    text = "\n".join(path.read_text() for path in SOURCES)
    whole = {key for key in _WHOLE.findall(text) if key.partition(".")[0] in files}
    return {key for key in whole if not key.endswith((".html", ".js", ".css", "_"))}, {
        key for key in _FAMILY.findall(text) if key.partition(".")[0] in files
    }


def test_every_text_that_is_asked_for_is_there() -> None:
    whole, families = asked()
    texts = read_texts().all()
    assert whole and not sorted(key for key in whole if key not in texts)
    assert not sorted(family for family in families if not any(key.startswith(family) for key in texts))


def test_no_text_is_left_over() -> None:
    whole, families = asked()
    left = [key for key in read_texts().all() if key not in whole and not key.startswith(("codes.", *families))]
    assert not left


def test_each_language_says_everything() -> None:
    texts = read_texts().all()
    for language in languages():
        told = read_texts(language).all()
        assert told.keys() == texts.keys()
        for key, text in told.items():
            assert text.strip(), key
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", texts[key])), key


@pytest.mark.parametrize(
    ("value", "digits", "unit", "text"),
    [(1234567, 0, "", "1 234 567"), (-0.5, 2, "ms", "−0.50 ms"), (None, 1, "ms", "–"),
     (float("nan"), 1, "", "–")],
)  # fmt: skip
def test_numbers_as_people_read_them(value: float | None, digits: int, unit: str, text: str) -> None:
    assert number(value, digits, unit) == text


def test_shares_as_percent() -> None:
    assert (percent(0.0234), percent(None)) == ("2.3 %", "–")


def test_every_permission_and_every_verdict_has_its_words() -> None:
    texts = read_texts()
    named = [*(f"users.may_{one}" for one in Permission), *(f"codes.{one}" for one in (*Outcome, *Reason))]
    assert [key for key in named if key not in texts] == []
