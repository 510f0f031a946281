"""What limits are computed from: units other than those that are judged, unless that is said."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from inspection.errors import BadUsage
from inspection.trends.query import Bounds, Selection, before, bounded

Kind = Literal["before", "first", "shown", "batch"]
_FIRST, _FEWEST_UNITS, _FEWEST_GROUPS = 20, 100, 10
_WANTED_OF_BASELINE = 2  # subgroups' worth of units that a period before must have to be taken where nothing is asked


@dataclass(frozen=True)
class Reference:
    """Where a baseline comes from: the period or batch `before`, a named `batch`, the `first` subgroups of those shown,
    which are then not judged, or all that is `shown`, judged by itself. `bounds` is what is read for it, other than
    what is shown; `first` the number of subgroups that are not judged."""

    kind: Kind
    bounds: Bounds | None = None
    first: int = 0

    @property
    def batch(self) -> str | None:
        """The batch that it is, if it is one."""
        named = self.bounds.selection.batches if self.bounds else ()
        return named[0] if named else None


def choose_reference(connection: Connection, shown: Bounds, sizes: list[int], asked: str) -> Reference:
    """The reference as asked: `before`, `first`, `first:12`, `shown`, `batch:B-1`; `auto` takes the one before if it
    has enough units, or else the first subgroups, or with few of them all that is shown. Raises BadUsage."""
    kind, _, value = asked.partition(":")
    if kind == "batch" and value:
        named = bounded(connection, Selection((value,), station=shown.selection.station))
        if named is None:
            raise BadUsage(f"there is no record of batch {value!r} to compute limits from")
        return Reference("batch", named)
    if kind == "first" and (not value or (value.isdecimal() and len(value) < 5)):
        return _first(len(sizes), int(value) if value else _FIRST)
    if asked == "shown":
        return Reference("shown")
    if asked not in ("", "auto", "before"):
        raise BadUsage(f"{asked!r} is no baseline; choose auto, before, first:20, shown or batch:NAME")
    earlier = before(connection, shown)
    bounds = bounded(connection, earlier) if earlier else None
    if bounds and (asked == "before" or bounds.entries >= max(_FEWEST_UNITS, _WANTED_OF_BASELINE * max(sizes))):
        return Reference("before", bounds)
    if asked == "before":
        raise BadUsage("nothing was recorded before what is shown; choose the first subgroups as the baseline")
    return _first(len(sizes), min(_FIRST, len(sizes) // 2)) if len(sizes) >= _FEWEST_GROUPS else Reference("shown")


def _first(groups: int, wanted: int) -> Reference:
    if not 1 <= wanted < groups:
        raise BadUsage(
            f"the first {wanted} of {groups} subgroups cannot be the baseline: one at least must be left to judge; "
            "choose fewer, or smaller subgroups"
        )
    return Reference("first", None, wanted)
