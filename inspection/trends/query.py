"""Which units trends are of, and how they are cut into subgroups: by the indexes of time and of batches, bounded."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, text

from inspection.errors import BadUsage
from inspection.records import utc_text
from inspection.schema import entries

MOST_UNITS = 200_000  # records that are read for one page: the newest of those asked for
MOST_SUBGROUPS = 400
MINUTES = (1, 5, 10, 15, 30, 60, 120, 240, 480, 1440)
IS_EVENT = text("kind = 'event'")  # as the indexes of events say it; a bound value would not be known to fit them
_YEARS = (1900, 2900)  # so that a time before, or behind, can be computed from any
_SIZES = (10, 20, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000)
_EXACT = 20_000  # of more records, subgroups by units are cut by an index alone, which counts events too
_WANTED = 100  # subgroups of time that are about as many as a chart shows well
_WANTED_OF_UNITS = 60


@dataclass(frozen=True)
class Selection:
    """Units of any of `batches` (none: of all), recorded from `since` up to but without `until` (ISO 8601, UTC)."""

    batches: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    station: str | None = None
    product: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a WHERE."""
        table = entries.c
        asked = [table.kind == "unit", *self.range_conditions()]
        asked += [table.station == self.station] if self.station is not None else []
        asked += [table.product == self.product] if self.product is not None else []
        return asked

    def range_conditions(self) -> list[ColumnElement[bool]]:
        """What an index alone answers."""
        table, asked = entries.c, []
        if self.batches:
            asked.append(table.batch == self.batches[0] if len(self.batches) == 1 else table.batch.in_(self.batches))
        asked += [table.recorded_at >= self.since] if self.since is not None else []
        asked += [table.recorded_at < self.until] if self.until is not None else []
        return asked


@dataclass(frozen=True)
class Subgroups:
    """How units are cut: each so many `minutes` of the clock in UTC, or each so many `units`; neither: as fits."""

    minutes: int | None = None
    units: int | None = None

    @property
    def text(self) -> str:
        """As it stands in an address."""
        return f"{self.minutes}min" if self.minutes else str(self.units) if self.units else "auto"


@dataclass(frozen=True)
class Bounds:
    """What is read of a selection: records from `first` to `last`, at most `entries` of them; `cut` where older ones
    were left out."""

    selection: Selection
    entries: int
    first: str
    last: str
    cut: bool


def read_subgroups(asked: str) -> Subgroups:
    """From an address: `auto`, `15min`, `500`. Raises BadUsage."""
    if asked in ("", "auto"):
        return Subgroups()
    number = asked.removesuffix("min")
    if not number.isdecimal() or len(number) > 6 or int(number) < 1:
        raise BadUsage(f"{asked!r} is no size of a subgroup; give auto, minutes such as 15min, or units such as 500")
    if asked.endswith("min") and int(number) not in MINUTES:
        raise BadUsage(f"a subgroup of {number} min is not offered; choose one of {', '.join(map(str, MINUTES))} min")
    return Subgroups(minutes=int(number)) if asked.endswith("min") else Subgroups(units=int(number))


def bounded(connection: Connection, selection: Selection, most: int = MOST_UNITS) -> Bounds | None:
    """The newest `most` records of a selection; None where there is none. An index answers alone."""
    table = entries.c
    asked = selection.range_conditions()
    end = select(table.recorded_at).where(*asked).order_by(table.recorded_at.desc())
    last = connection.scalar(end.limit(1))
    if last is None:
        return None
    cut = connection.scalar(end.offset(most).limit(1))
    if cut is not None:
        selection = replace(selection, since=str(cut))
        asked = selection.range_conditions()
    first = connection.scalar(select(table.recorded_at).where(*asked).order_by(table.recorded_at).limit(1))
    count = int(connection.scalar(select(func.count()).select_from(entries).where(*asked)) or 0)
    return Bounds(selection, count, str(first), str(last), cut is not None)


def fitting(bounds: Bounds, subgroups: Subgroups) -> Subgroups:
    """The subgroups as asked for; where nothing was, by units within batches and by time otherwise, so that a chart
    shows them well. Raises BadUsage for more subgroups than are drawn."""
    span = (_moment(bounds.last) - _moment(bounds.first)).total_seconds() / 60
    if subgroups == Subgroups():
        by_time = next((size for size in MINUTES if span / size <= 1.5 * _WANTED), MINUTES[-1])
        by_units = next((size for size in _SIZES if bounds.entries / size <= _WANTED_OF_UNITS), _SIZES[-1])
        few = span < 12  # a batch of a few minutes
        subgroups = Subgroups(units=by_units) if bounds.selection.batches or few else Subgroups(minutes=by_time)
    wanted = span / subgroups.minutes if subgroups.minutes else bounds.entries / (subgroups.units or 1)
    if wanted > MOST_SUBGROUPS:
        raise BadUsage(
            f"subgroups of {subgroups.text} would be about {wanted:.0f} of them, and a chart shows at most "
            f"{MOST_SUBGROUPS}; choose larger subgroups, or a shorter time"
        )
    return subgroups


def edges_of(connection: Connection, bounds: Bounds, subgroups: Subgroups) -> list[str]:
    """Where subgroups begin, as times; each lasts up to but without the next one's beginning. Those
    of so many units have exactly so many where few are read, and about so many otherwise."""
    edges: list[str] = []
    if subgroups.minutes:
        step_of_time = timedelta(minutes=subgroups.minutes)
        first = _moment(bounds.first)
        moment = datetime(first.year, first.month, first.day, tzinfo=UTC)
        moment += step_of_time * int((first - moment) / step_of_time)
        while (begins := utc_text(moment)) <= bounds.last:
            edges.append(begins)
            moment += step_of_time
        return edges
    selection = bounds.selection
    exact = bounds.entries <= _EXACT or selection.station is not None or selection.product is not None
    at, asked = entries.c.recorded_at, selection.conditions() if exact else selection.range_conditions()
    step = select(at).where(*asked, at >= bindparam("since")).order_by(at).limit(1)
    found = connection.scalar(step, {"since": bounds.first})
    while found is not None and (not edges or found > edges[-1]):
        edges.append(str(found))
        found = connection.scalar(step.offset(subgroups.units), {"since": found})
    return edges


def before(connection: Connection, bounds: Bounds) -> Selection | None:
    """What came before: of batches the one before the first of them, of the same product where that is asked for; of a
    time the same length before it. None where there was nothing."""
    selection, table = bounds.selection, entries.c
    if not selection.batches:
        length = _moment(bounds.last) - _moment(bounds.first)
        since = selection.since or bounds.first
        length = _moment(selection.until) - _moment(since) if selection.until else length
        begins = max(_moment(since) - length, datetime(1, 1, 2, tzinfo=UTC))
        return replace(selection, since=utc_text(begins), until=since)
    others = Selection((), None, bounds.first, selection.station, selection.product).conditions()
    query = select(table.batch).where(*others, table.batch.is_not(None), table.batch.not_in(selection.batches))
    product = selection.product or connection.scalar(
        select(table.product).where(*selection.conditions()).order_by(table.recorded_at.desc()).limit(1)
    )
    query = query.where(table.product == product) if product is not None else query
    batch = connection.scalar(query.order_by(table.recorded_at.desc()).limit(1))
    return replace(selection, batches=(str(batch),), since=None, until=None) if batch is not None else None


def newest(connection: Connection, selection: Selection) -> dict[str, Any]:
    """What the newest unit of a selection ran with: `recipe`, `package`, limits; nothing where there is none."""
    table = entries.c
    columns = (table.recipe, table.package, table.review_limit, table.reject_limit, table.product, table.station)
    query = select(*columns).where(*selection.conditions()).order_by(table.recorded_at.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return dict(row) if row else {}


def parsed(value: str, name: str) -> str:
    """A time from an address, as records have it. Raises BadUsage."""
    try:
        at = _moment(value).astimezone(UTC)
        if not _YEARS[0] <= at.year <= _YEARS[1]:
            raise ValueError
        return utc_text(at)
    except (ValueError, OverflowError):
        raise BadUsage(f"{name} {value!r} is no time; give one as 2026-11-28 or 2026-11-28T04:30") from None


def _moment(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
