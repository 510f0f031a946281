"""The words of the pages, by language: one folder each, one YAML file a page, nothing else to translate.

A key is `file.key`, such as `review.confirm_reject`; a text may have `{names}`, which are filled in.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from inspection.config import read_mapping

_FOLDER = Path(__file__).parent
DEFAULT = "en"


class Texts:
    """The texts of one language. Called with a key, and with what is to be filled in, it gives the text; raises
    KeyError for a key that is not there."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language, self._texts = language, texts

    def __call__(self, key: str, **values: object) -> str:
        text = self._texts[key]
        return text.format(**values) if values else text

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def code(self, code: str | None) -> str:
        """What people call a code: an outcome, a reason, a state, an event; its own words where nobody named it."""
        key = f"codes.{code}"
        return self._texts.get(key) or str(code or "").replace("_", " ")

    def of(self, *files: str) -> dict[str, str]:
        """All texts of some files, for a page's script."""
        return {key: text for key, text in self._texts.items() if key.partition(".")[0] in files}

    def all(self) -> dict[str, str]:
        """Every text by its key."""
        return dict(self._texts)


@cache
def read_texts(language: str = DEFAULT) -> Texts:
    """The texts of a language. Raises ConfigInvalid."""
    return Texts(
        language,
        {f"{path.stem}.{key}": str(text) for path in sorted((_FOLDER / language).glob("*.yaml"))
         for key, text in read_mapping(path).items()},
    )  # fmt: skip


@cache
def languages() -> frozenset[str]:
    """The languages there are."""
    return frozenset(path.name for path in _FOLDER.iterdir() if path.is_dir() and any(path.glob("*.yaml")))
