"""The equivalence report of a trial: all its findings on record, compared as two re-inspections are."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from inspection.archive import Archive, rows_at
from inspection.equivalence.comparison import compare
from inspection.equivalence.figures import TRUTHS, Margins
from inspection.equivalence.results_table import Decisions, pair
from inspection.errors import InspectionError
from inspection.records import place_of
from inspection.reviews import counting_reviews
from inspection.schema import entries
from inspection.search_terms import EVENTS_ONLY
from inspection.shadow.events import SHADOW, Decided, ShadowEvent, ShadowFinding, Trial
from inspection.shadow.evidence import known_by, read_shadow_row

_PAGE = 500
Row = dict[str, Any]


class TrialMissing(InspectionError):
    """No shadow has findings of such a candidate in the archive."""

    code = "trial_missing"


class ShadowBroken(InspectionError):
    """A finding is of another record than the archive holds."""

    code = "shadow_broken"


def shadow_report(archive: Archive, candidate: str = "", margins: Margins | None = None) -> dict[str, Any]:
    """The answer of `compare`, as plain values, for the trial that was added to last, of those whose candidate's
    SHA-256 or own id begins with `candidate`. `about.shadow` says which trial it is, what was shed and failed, and from
    where to where its records go.

    Raises TrialMissing, ShadowBroken where a finding is not of the record that the archive holds, ShadowUnreadable,
    ReviewInvalid, PairsInvalid and ArchiveFault.
    """
    trial = _trial(archive, candidate)
    old, new = dict[tuple[str, ...], Row](), dict[tuple[str, ...], Row]()
    shed, failed = dict[str, int](), dict[str, int]()
    records: list[str] = []
    for record, event in _events(archive):
        if event.trial.id != trial.id:
            continue
        records.append(record)
        for counts, more in ((shed, event.shed), (failed, event.failed)):
            for reason, units in more.items():
                counts[reason] = counts.get(reason, 0) + units
        for one in event.findings:
            key = ("record", one.record)
            if key not in old:
                old[key], new[key] = (_row(one, side, trial) for side in (one.old, one.new))
    _check_records(archive, old)
    _tell_truth(archive, old)
    paired = pair(Decisions(old, _about(archive, trial.active, trial.active_limits, len(old))),
                  Decisions(new, _about(archive, trial.candidate, trial.limits, len(new))))  # fmt: skip
    said = {"trial": trial.plain(), "shed": shed, "failed": failed, "first": records[0], "last": records[-1]}
    left_out = paired.left_out | ({"shed": sum(shed.values())} if shed else {})
    return compare(paired.pairs, margins, left_out=left_out, about=paired.about | {"shadow": said}).plain()


def _events(archive: Archive) -> Iterator[tuple[str, ShadowEvent]]:
    """All findings of all trials, in the order of their records, read a page at a time."""
    table, after = entries.c, ("", "", 0)
    while True:
        query = select(entries).where(
            EVENTS_ONLY, table.reason == SHADOW, table.recorded_at >= after[0],
        ).order_by(table.recorded_at, table.station, table.sequence).limit(_PAGE)  # fmt: skip
        with archive.reader() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        fresh = [row for row in rows if (row["recorded_at"], row["station"], row["sequence"]) > after]
        for row in fresh:
            event = read_shadow_row(row)
            if isinstance(event, ShadowEvent):
                yield f"{row['station']}/{row['sequence']}", event
        if len(rows) < _PAGE or not fresh:
            return
        after = fresh[-1]["recorded_at"], fresh[-1]["station"], fresh[-1]["sequence"]


def _trial(archive: Archive, candidate: str) -> Trial:
    found: dict[str, Trial] = {}
    newest = None
    for _, event in _events(archive):
        found[event.trial.id] = event.trial
        if event.trial.candidate["sha256"].startswith(candidate) or event.trial.id.startswith(candidate):
            newest = event.trial
    if newest is None:
        known = ", ".join(sorted({f"{one.label} ({one.candidate['sha256'][:12]})" for one in found.values()}))
        raise TrialMissing(
            f"{archive.folder} has no findings of a shadow's candidate {candidate or 'at all'}; it has "
            f"{known or 'those of no candidate'}"
        )
    return newest


def _row(one: ShadowFinding, side: Decided, trial: Trial) -> Row:
    return {
        "record": one.record, "unit": one.unit, "batch": one.batch, "product": trial.product,
        "record_hash": one.record_hash, "truth": None, "defects": (), "cameras": one.cameras, "outcome": side.outcome,
        "reason": side.reason, "score": side.score,
    }  # fmt: skip


def _check_records(archive: Archive, rows: Mapping[tuple[str, ...], Row]) -> None:
    """A record that the retention rule removed is no fault; one with another hash is."""
    wanted = {place_of(row["record"]): row["record_hash"] for row in rows.values()}
    with archive.reader() as connection:
        for row in rows_at(connection, wanted, "station", "sequence", "hash"):
            if row["hash"] != wanted[row["station"], row["sequence"]]:
                raise ShadowBroken(
                    f"a shadow looked at record {row['station']}/{row['sequence']} as it is not any more; run "
                    "`inspection verify`"
                )


def _tell_truth(archive: Archive, rows: Mapping[tuple[str, ...], Row]) -> None:
    for record, review in counting_reviews(archive).items():
        if row := rows.get(("record", record)):
            truth, defects = known_by([review])
            row |= {"truth": TRUTHS[truth], "defects": defects}


def _about(archive: Archive, identity: Mapping[str, str], limits: Mapping[str, float], units: int) -> Row:
    return {
        "source": Path(archive.folder).name, "packages": {f"{identity['name']} {identity['version']}": units},
        "sha256": identity["sha256"], "limits": dict(limits),
    }  # fmt: skip
