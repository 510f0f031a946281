"""How fast records are written, verified and found: python -m benchmarks.records [--records N] [--database URL]

Without images: groups of 64, as the line writes them under load, each group synced. With images: one JPEG XL file of
random bytes of `--image-kb` with each record, synced as well. All in one run, on the disk of `--folder`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import select

from benchmarks.archive_place import add_place_options, archive_place
from inspection.archive import Archive
from inspection.batch_account import batch_account
from inspection.records import Draft, FrameRecord
from inspection.schema import entries
from inspection.verify import verify_archive

_GROUP = 64
_DETAILS = {"runtime": "openvino", "classes": {"crack": 0.01, "stain": 0.02}, "frames": [{}, {}]}


def draft(number: int, image: str | None, batch: str) -> Draft:
    """A record as a line with two cameras writes it."""
    frames = tuple(
        FrameRecord(f"camera-{camera}", number, "2026-11-24T10:00:00.000000Z", image, None, 12.3) for camera in (1, 2)
    )
    outcome, reason = ("REJECT", "above_reject_limit") if number % 50 == 0 else ("PASS", "within_limits")
    return Draft("unit", f"20261124T100000-{number:09d}", batch, "vial", "vials 1.0.0", "a" * 64, outcome, reason,
                 12.0 + number % 7, 15.0, 17.0, 71.2, frames, _DETAILS)  # fmt: skip


def written(archive: Archive, count: int, image: Callable[[], str | None]) -> tuple[float, list[float]]:
    """Records a second, and the time of each group in ms."""
    took, began = [], time.perf_counter()
    for first in range(0, count, _GROUP):
        at = time.perf_counter()
        drafts = [draft(number, image(), f"B-{number // 20_000}") for number in range(first, first + _GROUP)]
        archive.append_all(drafts, "station-1")
        took.append(1000 * (time.perf_counter() - at))
    return count / (time.perf_counter() - began), took


def timed_ms(do: Callable[[], object], times: int = 20) -> float:
    """The median of several calls."""
    took = []
    for _ in range(times):
        at = time.perf_counter()
        do()
        took.append(1000 * (time.perf_counter() - at))
    return statistics.median(took)


def measure(folder: Path, records: int, images: int, image_kb: int) -> None:
    """Print the figures of an archive in `folder`."""
    random = np.random.default_rng(0)
    with Archive(folder) as archive:
        rate, took = written(archive, records, lambda: None)
        print(f"{records:,} records without images: {rate:,.0f} a second; a group of {_GROUP} takes "
              f"p50 {np.percentile(took, 50):.1f} ms, p99 {np.percentile(took, 99):.1f} ms")  # fmt: skip
        last = f"B-{(records - 1) // 20_000}"
        unit = select(entries).where(entries.c.unit == f"20261124T100000-{records // 2:09d}")
        with archive.reader() as connection:
            print(f"  of {records:,}: the latest 50 units {timed_ms(lambda: archive.latest(50, kind='unit')):.1f} ms, "
                  f"the latest 50 rejects {timed_ms(lambda: archive.latest(50, outcome='REJECT')):.1f} ms, "
                  f"a unit by its id {timed_ms(lambda: connection.execute(unit).all()):.1f} ms, "
                  f"a batch's account {timed_ms(lambda: batch_account(archive, last), 1):.0f} ms")  # fmt: skip
    if folder.joinpath("archive.sqlite").exists():
        print(f"  {folder.joinpath('archive.sqlite').stat().st_size / records:.0f} bytes a record")
    began = time.perf_counter()
    found = verify_archive(folder)
    assert found.intact, found.problems[:3]
    print(f"  verified: {found.entries / (time.perf_counter() - began):,.0f} records a second")
    with Archive(folder) as archive:
        rate, _ = written(archive, images, lambda: archive.images.put(random.bytes(image_kb * 1000), ".jxl"))
        print(f"{images:,} records with an image of {image_kb} kB each: {rate:,.0f} a second")


def main() -> None:
    """Measure SQLite, and PostgreSQL where an address is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--images", type=int, default=2_048)
    parser.add_argument("--image-kb", type=int, default=100)
    add_place_options(parser)
    options = parser.parse_args()
    with archive_place(options) as folder:
        measure(folder, options.records // _GROUP * _GROUP, options.images, options.image_kb)


if __name__ == "__main__":
    main()
