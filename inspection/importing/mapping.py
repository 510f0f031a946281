"""What the columns and words of another system's decisions mean: options, or a YAML file."""

import codecs
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from inspection.errors import InspectionError
from inspection.verdict import Outcome

GOOD_WORDS = ("good", "ok", "pass", "none")


class RowUnfit(InspectionError):
    """A value of a row cannot be understood."""

    code = "row_unfit"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Part):
    """The names of columns; those of image, unit, time and verdict must be there."""

    image: str = "image"
    unit: str = "unit"
    time: str = "time"
    verdict: str = "verdict"
    batch: str | None = None
    reason: str | None = None
    score: str | None = None
    camera: str | None = None
    truth: str | None = None
    reviewer: str | None = None

    def named(self) -> dict[str, str]:
        """Of each part that has a column, the column."""
        return {part: column for part, column in self.model_dump().items() if column is not None}


class Mapping(_Part):
    """`verdicts` says which word is which outcome (PASS, REVIEW and REJECT say so themselves; upper and lower case
    count as one), `reasons` which word is which reason code: one that is not there gets the code `imported`, its text
    is kept. A time without a zone is of `timezone`; `ambiguous` says which of the two it is in the hour that the clock
    shows twice in autumn: left out, such a row does not fit. `strip` is taken from the beginning of each image's path.
    With `several_images` the rows of one unit are its images, and must agree on everything that is the unit's; without,
    a unit that comes twice does not fit. A label in the column `truth` is a defect's name, one of `good_words`, or one
    of `cannot_tell_words`; it becomes a review by whoever the row names, or `reviewer`."""

    columns: Columns = Columns()
    verdicts: dict[str, Outcome] = Field(default_factory=dict)
    reasons: dict[str, str] = Field(default_factory=dict)
    good_words: tuple[str, ...] = GOOD_WORDS
    cannot_tell_words: tuple[str, ...] = ()
    timezone: str | None = None
    time_format: str | None = None
    ambiguous: Literal["earlier", "later"] | None = None
    several_images: bool = False
    strip: str = ""
    reviewer: str | None = Field(default=None, min_length=1, max_length=64)
    batch: str | None = Field(default=None, min_length=1, max_length=128)
    camera: str = Field(default="imported", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8-sig"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                msg = "a zone has a name like Europe/Berlin that this machine knows"
                raise ValueError(msg) from error
        return name

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            codecs.lookup(name)
        except LookupError as error:
            msg = "an encoding has a name like utf-8 or cp1252"
            raise ValueError(msg) from error
        return name

    @field_validator("reasons")
    @classmethod
    def _codes(cls, reasons: dict[str, str]) -> dict[str, str]:
        for code in reasons.values():
            if not code or len(code) > 64 or not code.replace("_", "").isalnum() or not code.isascii():
                msg = f"{code!r} is no reason code: letters, digits and underscores, 64 at most"
                raise ValueError(msg)
        return reasons

    @cached_property
    def _outcomes(self) -> dict[str, Outcome]:
        own = {str(outcome).casefold(): outcome for outcome in Outcome}
        return own | {word.strip().casefold(): outcome for word, outcome in self.verdicts.items()}

    def outcome(self, word: str) -> Outcome:
        """Of a verdict's word. Raises RowUnfit: an unknown one is never guessed."""
        found = self._outcomes.get(word.strip().casefold())
        if found is None:
            raise RowUnfit(f"{word!r} is no known verdict; say what it means, e.g. --verdict {word or 'WORD'}=REJECT")
        return found

    def reason(self, word: str) -> str:
        """The reason code of a reason's word."""
        known = {one.strip().casefold(): code for one, code in self.reasons.items()}
        return known.get(word.strip().casefold(), IMPORTED)

    def moment(self, text: str) -> datetime:
        """A time in UTC. Raises RowUnfit for what is none, has no zone where none is given, or is ambiguous."""
        text = text.strip()
        try:
            read = datetime.fromisoformat
            # a format without %z gives a time without a zone, which gets its own below
            found = datetime.strptime(text, self.time_format) if self.time_format else read(text)  # noqa: DTZ007
        except ValueError as error:
            wanted = self.time_format or "ISO 8601, e.g. 2024-03-01T12:00:00+01:00"
            raise RowUnfit(f"{text!r} is no time as {wanted}") from error
        try:
            return self._zoned(found, text).astimezone(UTC)
        except OverflowError as error:
            raise RowUnfit(f"{text!r} is no time that a clock shows") from error

    def _zoned(self, found: datetime, text: str) -> datetime:
        if found.tzinfo is not None:
            return found
        if self.timezone is None:
            raise RowUnfit(f"{text!r} has no zone; say which one with --timezone, e.g. Europe/Berlin")
        zone = ZoneInfo(self.timezone)
        first, second = (found.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return first
        if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != found:
            raise RowUnfit(f"{text!r} does not exist in {self.timezone}: the clock went from before it to after it")
        if self.ambiguous is None:
            raise RowUnfit(f"{text!r} is two times in {self.timezone}; say which one with --ambiguous")
        return first if self.ambiguous == "earlier" else second


IMPORTED = "imported"
