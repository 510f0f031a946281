"""A re-inspection written back to its archive: one event for each unit, after everything else, beside the original.

The event has neither an outcome nor a batch of its own columns, and corrects nothing: what counts units, corrections
and reviews does not see it. It names the original by name and hash, and the run, so that none is written twice.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Literal

from sqlalchemy import select

from inspection.archive import Archive, Writing, rows_at
from inspection.audit import audit_draft
from inspection.errors import InspectionError
from inspection.records import AUDIT, Draft
from inspection.schema import entries
from inspection.search_terms import EVENTS_ONLY
from inspection.unit_result import UnitResult, UnitResults

REINSPECTED, RUN_RECORDED = "reinspected", "reinspection_recorded"
Which = Literal["changed", "all"]
_AT_ONCE = 200


class ReinspectionNotRecorded(InspectionError):
    """A result is of another record than the archive holds, so that nothing can point at it."""

    code = "reinspection_not_recorded"


@dataclass(frozen=True)
class Run:
    """A run by its id, what each package is named by (as in the header), and who has it recorded and why."""

    id: str
    packages: Sequence[Mapping[str, Any]]
    by: str
    why: str


@dataclass(frozen=True)
class Written:
    """How many events were appended, and how many of the run were there already."""

    appended: int
    there: int


def record_run(archive: Archive, results: Iterable[UnitResults], run: Run, which: Which) -> Written:
    """Append an event for each changed unit and package, or for `all`, to the chain of the unit's station, and one to
    the audit trail before the first. Raises ReinspectionNotRecorded and ArchiveFault; what was appended before stays,
    and the same call goes on from there."""
    appended = there = 0
    _note_run(archive, run, which)
    wanted = (
        (one, index)
        for unit in results for index, one in enumerate(unit.each)
        if one.station is not None and one.fault is None and (which == "all" or one.changed)
    )  # fmt: skip
    for station, chosen in groupby(wanted, key=lambda pair: pair[0].station):
        for some in _some(chosen):
            with archive.writing() as write:
                assert station is not None
                write.head(station)  # from here on nobody else appends to this chain
                _check_originals(archive, write, some)
                known = _known(write, station, run.id, some)
                drafts = [
                    _draft(one, run, index) for one, index in some if (one.record, _digest(run, index)) not in known
                ]
                if drafts:
                    write.append(drafts, station)
            appended, there = appended + len(drafts), there + len(some) - len(drafts)
    return Written(appended, there)


def _some(pairs: Iterator[tuple[UnitResult, int]]) -> Iterator[list[tuple[UnitResult, int]]]:
    while some := list(islice(pairs, _AT_ONCE)):
        yield some


def _draft(one: UnitResult, run: Run, index: int) -> Draft:
    said = run.packages[index]
    details = {
        "reinspects": one.record,
        "record_hash": one.recorded.hash,
        "run": run.id,
        "package": said["package"]["sha256"],
        "package_name": f"{said['package']['name']} {said['package']['version']}",
        **({"classifier": said["classifier"]["sha256"]} if "classifier" in said else {}),
        "old": {"outcome": one.old, "reason": one.old_reason, "score": one.old_score},
        "new": {"outcome": one.new, "reason": one.new_reason, "score": one.new_score},
        "by": run.by,
        "why": run.why,
    }
    return Draft("event", unit=one.unit, product=one.recorded.product, reason=REINSPECTED, details=details)


def _digest(run: Run, index: int) -> str:
    return str(run.packages[index]["package"]["sha256"])


def _check_originals(archive: Archive, write: Writing, some: Sequence[tuple[UnitResult, int]]) -> None:
    places = {(str(one.station), int(one.sequence or 0)): one.recorded.hash for one, _ in some}
    rows = rows_at(write.connection, places, "station", "sequence", "hash")
    found = {(row["station"], row["sequence"]): row["hash"] for row in rows}
    for place, hash_ in places.items():
        if found.get(place) != hash_:
            raise ReinspectionNotRecorded(
                f"{archive.folder} does not hold record {place[0]}/{place[1]} as it was inspected again; "
                "run `inspection verify`"
            )


def _known(
    write: Writing, station: str, run: str, some: Sequence[tuple[UnitResult, int]]
) -> set[tuple[str | None, str]]:
    """Records and packages of these for which the run has an event."""
    table, units = entries.c, sorted({one.unit for one, _ in some})
    query = select(table.details).where(
        table.unit.in_(units), table.kind + "" == "event", table.reason + "" == REINSPECTED,
        table.station + "" == station,
    )  # fmt: skip
    known = set()
    for text in write.connection.scalars(query):
        details = json.loads(text)
        if details.get("run") == run:
            known.add((details.get("reinspects"), str(details.get("package"))))
    return known


def _note_run(archive: Archive, run: Run, which: Which) -> None:
    """One event on the audit trail, once."""
    table = entries.c
    query = select(table.sequence).where(
        EVENTS_ONLY, table.reason == RUN_RECORDED, table.details.contains(f'"subject":"{run.id}"')
    )
    with archive.writing() as write:
        write.head(AUDIT)
        if write.connection.scalar(query.limit(1)) is None:
            packages = [said["package"] for said in run.packages]
            draft = audit_draft(RUN_RECORDED, run.by, run.id, why=run.why, packages=packages, units=which)
            write.append([draft], AUDIT)
