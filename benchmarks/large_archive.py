"""How fast a large archive answers: python -m benchmarks.large_archive --records 10000000 [--database URL]

Two years of four stations in batches of 20,000 units are loaded as rows (nobody waits for ten million appends; their
hashes are of no chain). What is timed is what people and pages ask for: the first answer, and the median of ten more.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from benchmarks.archive_place import add_place_options, archive_place
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.batch_account import batch_account
from inspection.database import make_partition
from inspection.records import FrameRecord, canonical_json, utc_text
from inspection.schema import entries
from serve.batches import list_batches

_STATIONS, BATCH, _DAYS = 4, 20_000, 730
_FRAMES = canonical_json([FrameRecord("camera-1", 1, "2026-11-24T10:00:00.000000Z", score=12.3).plain()])
_COUNTS = '{"triggered":19998,"passed":19398,"rejected":400,"undecided":200}'  # a batch's end says them, as on a line
_DETAILS = {
    None: '{"runtime":"openvino"}', "batch_started": '{"by":"otto","why":"large archive"}',
    "batch_stopped": f'{{"by":"otto","counts":{_COUNTS},"reconciled":true,"why":"large archive"}}',
}  # fmt: skip
_COLUMNS = [column.name for column in entries.columns]


def rows(count: int, until: datetime) -> Iterator[dict[str, Any]]:
    """Records in order of time, the last at `until`: of 50 units one is rejected, of 100 one is undecided; a batch
    begins and ends with an event."""
    first, step = until - timedelta(days=_DAYS), timedelta(days=_DAYS) / count
    for n in range(count):
        of, within = n % _STATIONS, n // _STATIONS % BATCH
        event = {0: "batch_started", BATCH - 1: "batch_stopped"}.get(within)
        outcome, reason = ("PASS", "within_limits")
        if n % 50 == 7:
            outcome, reason = ("REJECT", "above_reject_limit")
        elif n % 100 == 11:
            outcome, reason = ("REVIEW", "above_review_limit")
        yield {
            "station": f"station-{of + 1}", "sequence": n // _STATIONS + 1, "kind": "event" if event else "unit",
            "recorded_at": utc_text(first + n * step), "unit": None if event else f"U{n:010d}",
            "batch": f"B-{of + 1}-{n // _STATIONS // BATCH}", "product": "vial", "recipe": "vials 1.0.0",
            "package": "a" * 64, "outcome": None if event else outcome, "reason": event or reason,
            "score": None if event else {"PASS": 12.0, "REVIEW": 16.0, "REJECT": 18.0}[outcome] + n % 7 / 10,
            "review_limit": 15.0, "reject_limit": 17.0, "latency_ms": 60.0 + n % 30,
            "frames": "[]" if event else _FRAMES, "details": _DETAILS[event],
            "previous": f"{n:064d}", "hash": f"{n + 1:064d}",
        }  # fmt: skip


def load(archive: Archive, count: int) -> None:
    """Load that many records by the quickest way that the database has."""
    now, engine = datetime.now(UTC), archive.engine
    names = ", ".join(_COLUMNS)
    if archive.postgresql:
        for days in range(0, _DAYS + 31, 28):
            make_partition(engine, utc_text(now - timedelta(days=days))[:7])
    made = (tuple(row[name] for name in _COLUMNS) for row in rows(count, now))
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        for some in iter(lambda: list(islice(made, 100_000)), []):
            if archive.postgresql:
                with cursor.copy(f"COPY entries ({names}) FROM STDIN") as copy:
                    for row in some:
                        copy.write_row(row)
            else:
                cursor.execute("BEGIN")
                cursor.executemany(f"INSERT INTO entries ({names}) VALUES ({', '.join('?' * len(_COLUMNS))})", some)  # nosec B608
                cursor.execute("COMMIT")
            connection.commit()
        if archive.postgresql:
            cursor.execute("ANALYZE entries")
            connection.commit()
    finally:
        connection.close()


def questions(archive: Archive, count: int) -> dict[str, Callable[[], object]]:
    """What is asked, by what it is called."""
    batch = f"B-1-{max(0, count // _STATIONS // BATCH - 1)}"
    return {
        "the latest 50 units": lambda: archive.latest(50, kind="unit"),
        "the latest 50 rejects": lambda: archive.latest(50, outcome="REJECT"),
        "a record by its name": lambda: archive.get("station-1", count // 8),
        "how many records": archive.count_entries,
        "the latest 20 batches": lambda: list_batches(archive, 20),
        "the account of a batch of 20,000 units": lambda: batch_account(archive, batch),
        "the latest 50 of the audit trail": lambda: list(find_audit(archive, AuditQuery(), 50)),
        "what a person did, 50 events": lambda: list(find_audit(archive, AuditQuery(by="otto"), 50)),
    }


def timed(ask: Callable[[], object], times: int = 10) -> tuple[float, float]:
    """The first answer and the median of some more, in ms."""
    took = []
    for _ in range(times + 1):
        began = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - began))
    return took[0], statistics.median(took[1:])


def main() -> None:
    """Measure SQLite, or PostgreSQL where an address is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    add_place_options(parser)
    options = parser.parse_args()
    with archive_place(options) as folder, Archive(folder) as archive:
        began = time.perf_counter()
        load(archive, options.records)
        print(f"{options.records:,} records loaded in {time.perf_counter() - began:,.0f} s")
        print(f"| {'asked':<42} | first, ms | median, ms |\n|{'-' * 44}|---:|---:|")
        for name, ask in questions(archive, options.records).items():
            first, median = timed(ask)
            print(f"| {name:<42} | {first:.1f} | {median:.1f} |", flush=True)


if __name__ == "__main__":
    main()
