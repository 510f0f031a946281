"""How long the page of trends takes over an archive of many records: `python -m benchmarks.trends --records 100000`.

One batch of that many units over 24 hours, two cameras, one correction in a thousand units, and another batch before
it, a tenth of its size. What is timed is what the page asks for, chart by chart and all in one.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from benchmarks.archive_place import add_place_options, archive_place
from inspection.archive import Archive
from inspection.records import GENESIS, Draft, FrameRecord, to_row, utc_text
from inspection.trends.query import Selection
from inspection.trends.report import CHARTS, Asked, Trends

BATCH, BEFORE = "B-2", "B-1"
_FIRST = datetime(2026, 11, 20, tzinfo=UTC)
_GROUP = 5000


def fill(archive: Archive, records: int, seed: int = 0) -> None:
    """Write the batches: nearly all units are good, and the last tenth has twice as many rejects."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    previous = GENESIS
    for sequence, (draft, at) in enumerate(_drafts(records, random), 1):
        rows.append(to_row(draft, "station-1", sequence, previous, utc_text(at)))
        previous = str(rows[-1]["hash"])
        if len(rows) == _GROUP:
            archive.take(rows)
            rows = []
    if rows:
        archive.take(rows)


def _drafts(records: int, random: np.random.Generator) -> Iterator[tuple[Draft, datetime]]:
    before = records // 10
    step = timedelta(days=1) / max(1, records)
    sequence = 0
    for number in range(before + records):
        batch = BEFORE if number < before else BATCH
        worse = 2.0 if number > before + 0.9 * records else 1.0
        score = float(random.normal(10, 1)) if random.random() > 0.02 * worse else float(random.normal(20, 2))
        outcome, reason = (
            ("PASS", "within_limits") if score < 15 else ("REVIEW", "above_review_limit") if score < 17 else
            ("REJECT", "above_reject_limit")
        )  # fmt: skip
        light = 120 + 5 * np.sin(number / records * 6)
        quality = [{"brightness": round(light + float(random.normal()), 1), "sharpness": 55.0, "saturated": 0.001}] * 2
        frames = tuple(FrameRecord(f"camera-{camera}", number, utc_text(_FIRST), score=12.3) for camera in (1, 2))
        at = _FIRST + number * step
        sequence += 1
        yield Draft("unit", f"{number:09d}", batch, "vial", "vials 1.0.0", "a" * 64, outcome, reason, score, 15.0, 17.0,
                    float(random.gamma(20, 3.5)), frames, {"image_quality": quality}), at  # fmt: skip
        if number % 1000 == 7 and outcome == "PASS":
            details = {"corrects": f"station-1/{sequence}", "outcome": "REJECT", "message": "not acknowledged"}
            sequence += 1
            yield Draft("event", f"{number:09d}", batch, reason="not_delivered", details=details), at


def timed_ms(do: Callable[[], object], times: int) -> tuple[float, float]:
    """The median of several calls: on the clock, and of the processor alone, which a busy machine does not stretch as
    much (a PostgreSQL server's part is not in it)."""
    took, used = [], []
    for _ in range(times):
        at, before = time.perf_counter(), time.process_time()
        do()
        took.append(1000 * (time.perf_counter() - at))
        used.append(1000 * (time.process_time() - before))
    return statistics.median(took), statistics.median(used)


def measure(archive: Archive, times: int) -> None:
    """Print what each chart takes alone, with all that it needs, and the whole page."""
    asked = Asked(Selection((BATCH,)))

    def page(names: tuple[str, ...]) -> None:
        with archive.reader() as connection:
            trends = Trends(connection, asked)
            for name in names:
                trends.chart(name)

    for names in (*((name,) for name in CHARTS), CHARTS):
        took, used = timed_ms(partial(page, names), times)
        print(f"{names[0] if len(names) == 1 else 'the whole page':<15} {took:7.0f} ms ({used:.0f} ms of a processor)")


def main() -> None:
    """Measure SQLite, and PostgreSQL where an address is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5)
    add_place_options(parser)
    options = parser.parse_args()
    with archive_place(options) as folder, Archive(folder) as archive:
        if not archive.stations():
            fill(archive, options.records)
        measure(archive, options.times)


if __name__ == "__main__":
    main()
