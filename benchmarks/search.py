"""How fast records are found: python -m benchmarks.search [--records N] [--database URL] [--plans]

One record a second, a batch each 20,000, two packages, 2 % rejected and 1 % for review, a class named on some of them,
one of them rare; 300 reviews. Printed is the median of five of each kind of search, the page of 60 and the count.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event

from benchmarks.archive_place import add_place_options, archive_place
from inspection.archive import Archive
from inspection.records import GENESIS, Draft, FrameRecord, to_row, utc_text
from inspection.search import count, search
from inspection.search_choices import choices
from inspection.search_query import RecordQuery

_BEGAN = datetime(2026, 7, 1, tzinfo=UTC)
_BATCH = 20_000
OLD, NEW = "a" * 64, "b" * 64


def draft(number: int, records: int) -> Draft:
    """A record as a line with two cameras and a classifier writes it."""
    frames = tuple(
        FrameRecord(f"camera-{camera}", number, utc_text(_BEGAN), f"{number % 500:064x}.png", None, 12.3)
        for camera in (1, 2)
    )
    stopped = number % 50 == 7
    outcome, reason = ("REJECT", "class_found") if stopped else ("PASS", "within_limits")
    if number % 100 == 11:
        outcome, reason = "REVIEW", "above_review_limit"
    if number == 57:
        outcome, reason = "REJECT", "clock_step"
    sure = ["lamella"] if number == 107 else ["crack"] if number % 150 == 7 else ["stain"] if stopped else []
    details = {"runtime": "openvino", "classes": {"crack": 0.01, "stain": 0.02}, "sure": sure, "frames": [{}, {}],
               "severity": {"crack": "critical", "stain": "minor"}}  # fmt: skip
    package = OLD if number < records // 3 else NEW
    score = 99.5 if number == 10 else 8.0 + number % 70 / 10 + (9 if outcome != "PASS" else 0)
    return Draft("unit", f"u-{number:09d}", f"B-{number // _BATCH:03d}", "vial", "vials 1.0.0" if package == OLD else
                 "vials 1.1.0", package, outcome, reason, score, 15.0, 17.0, 71.2, frames, details)  # fmt: skip


def rows(records: int) -> Iterator[dict[str, Any]]:
    """The rows of an archive."""
    previous = GENESIS
    for number in range(1, records + 1):
        made = to_row(
            draft(number, records), "station-1", number, previous, utc_text(_BEGAN + timedelta(seconds=number))
        )
        previous = made["hash"]
        yield made
    for number in range(300):
        reviewed = 7 + 50 * number
        details = {"reviews": f"station-1/{reviewed}", "record_hash": "", "labels": [["crack"], []][number % 2],
                   "reviewer": "rita", "comment": ""}  # fmt: skip
        about = Draft("event", f"u-{reviewed:09d}", f"B-{reviewed // _BATCH:03d}", reason="review", details=details)
        at = utc_text(_BEGAN + timedelta(seconds=records + 60 + number))
        made = to_row(about, "station-1", records + 1 + number, previous, at)
        previous = made["hash"]
        yield made


def fill(archive: Archive, records: int) -> None:
    """Put them there, with their own times."""
    some: list[dict[str, Any]] = []
    for row in rows(records):
        some.append(row)
        if len(some) == 2000:
            archive.take(some)
            some = []
    if some:
        archive.take(some)


def queries(records: int) -> dict[str, RecordQuery]:
    """One search of each kind."""
    middle = _BEGAN + timedelta(seconds=records // 2)
    last = f"B-{records // _BATCH:03d}" if records % _BATCH else f"B-{records // _BATCH - 1:03d}"
    return {
        "everything": RecordQuery(),
        "oldest first": RecordQuery(order="oldest"),
        "a batch": RecordQuery(batch="B-001"),
        "a batch, the worst first": RecordQuery(batch="B-001", order="worst"),
        "the worst of everything": RecordQuery(order="worst"),
        "an hour": RecordQuery(since=utc_text(middle), until=utc_text(middle + timedelta(hours=1))),
        "rejected": RecordQuery(outcome="REJECT"),
        "not passed, of a batch": RecordQuery(outcome="not_passed", batch=last),
        "a frequent reason": RecordQuery(reason="class_found"),
        "a reason found once": RecordQuery(reason="clock_step"),
        "a score range": RecordQuery(min_score=14.0, max_score=14.5),
        "a score found once": RecordQuery(min_score=99.0),
        "a defect class": RecordQuery(defect="crack"),
        "a defect class found once": RecordQuery(defect="lamella"),
        "a defect class found never": RecordQuery(defect="unheard"),
        "a package": RecordQuery(packages=(OLD,)),
        "a package that never ran": RecordQuery(packages=("c" * 64,)),
        "a recipe": RecordQuery(recipe="vials 1.0.0"),
        "a product": RecordQuery(product="vial"),
        "a station": RecordQuery(station="station-1"),
        "a unit": RecordQuery(unit="u-000000042"),
        "reviewed as crack": RecordQuery(reviewed="crack"),
        "reviewed as good, of a batch": RecordQuery(reviewed="good", batch="B-000"),
        "not reviewed, rejected": RecordQuery(reviewed="none", outcome="REJECT"),
    }


def timed_ms(do: Callable[[], object], times: int = 5) -> float:
    """The median of several calls in ms."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        do()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def measure(archive: Archive, records: int) -> None:
    """Print a line for each kind."""
    print(f"{records:,} records, {'PostgreSQL' if archive.postgresql else 'SQLite'}")
    print(f"{'search':<32}{'page ms':>9}{'count ms':>10}  found")
    for name, query in queries(records).items():
        page = timed_ms(lambda query=query: search(archive, query))  # type: ignore[misc]
        counting = timed_ms(lambda query=query: count(archive, query))  # type: ignore[misc]
        found, all_ = search(archive, query), count(archive, query)
        said = f"more than {all_.units:,}" if all_.more else f"{all_.units:,}"
        where = f", looked back to {found.looked_to}" if found.looked_to else ""
        print(f"{name:<32}{page:>9.1f}{counting:>10.1f}  {len(found.found)} of {said}{where}")
    print(f"{'what there is to choose from':<32}{timed_ms(lambda: choices(archive)):>9.1f}")


def print_plans(archive: Archive, records: int) -> None:
    """What the database says of how it would find each."""
    said: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    with archive.reader() as connection:
        event.listen(connection.engine, "before_cursor_execute", keep)
    for name, query in queries(records).items():
        said.clear()
        search(archive, query)
        print(f"-- {name}")
        with archive.reader() as connection:
            for statement, parameters in list(said):
                if statement.startswith("SELECT"):
                    explain = "EXPLAIN " if archive.postgresql else "EXPLAIN QUERY PLAN "
                    for row in connection.exec_driver_sql(explain + statement, parameters):
                        print("  ", row[-1])


def main() -> None:
    """Measure SQLite, and PostgreSQL where an address is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    add_place_options(parser)
    parser.add_argument("--plans", action="store_true", help="Print the plans instead.")
    options = parser.parse_args()
    with archive_place(options) as folder, Archive(folder) as archive:
        if not archive.stations():
            fill(archive, options.records)
        (print_plans if options.plans else measure)(archive, options.records)


if __name__ == "__main__":
    main()
