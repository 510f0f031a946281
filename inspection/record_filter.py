"""Which of a source's units are inspected again, by what their records say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

from inspection.errors import BadUsage
from inspection.schema import entries
from inspection.search_query import utc_moment
from inspection.verdict import Outcome

_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class RecordFilter:
    """All of what is given must hold. Times are UTC as in records, `until` not included; `verdicts` are outcomes as
    they count now, after corrections; `package` is the digest of the package that decided, or its beginning."""

    batch: str | None = None
    since: str | None = None
    until: str | None = None
    verdicts: tuple[str, ...] = ()
    product: str | None = None
    package: str | None = None

    @classmethod
    def of(
        cls, batch: str | None = None, since: str | None = None, until: str | None = None,
        verdicts: tuple[str, ...] = (), product: str | None = None, package: str | None = None,
    ) -> "RecordFilter":  # fmt: skip
        """From what a person writes. Raises SearchInvalid for a time that is none, BadUsage for anything else."""
        unknown = [verdict for verdict in verdicts if verdict not in tuple(Outcome)]
        if unknown:
            raise BadUsage(f"--verdict is one of {', '.join(Outcome)}, got {unknown[0]!r}")
        if package is not None and not _DIGEST.fullmatch(package):
            raise BadUsage(f"--package wants a package's SHA-256, or its first 8 characters and more, got {package!r}")
        since, until = (utc_moment(time) if time is not None else None for time in (since, until))
        if since is not None and until is not None and since >= until:
            raise BadUsage(f"--since {since} is not before --until {until}; nothing lies between them")
        return cls(batch, since, until, tuple(sorted(set(verdicts))), product, package)

    def plain(self) -> dict[str, Any]:
        """What is given, as JSON values."""
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {name: value for name, value in given.items() if value not in (None, [])}

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a database can say of the record itself; of the outcome that counts it cannot."""
        table = entries.c
        wanted = [table[name] == value for name in ("batch", "product")
                  if (value := getattr(self, name)) is not None]  # fmt: skip
        wanted += [table.recorded_at >= self.since] if self.since is not None else []
        wanted += [table.recorded_at < self.until] if self.until is not None else []
        return wanted + ([table.package.startswith(self.package, autoescape=True)] if self.package is not None else [])

    def fits(self, row: Mapping[str, Any]) -> bool:
        """The same of a row that was read."""
        at, package = str(row["recorded_at"]), row["package"] or ""
        return (
            (self.batch is None or row["batch"] == self.batch)
            and (self.product is None or row["product"] == self.product)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
            and (self.package is None or str(package).startswith(self.package))
        )

    def fits_outcome(self, outcome: str | None) -> bool:
        """Whether a unit with this outcome, as it counts, is wanted."""
        return not self.verdicts or outcome in self.verdicts


EVERYTHING = RecordFilter()
