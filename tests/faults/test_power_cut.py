"""The power is cut at any moment: what was acknowledged is on record, verifies, and has its images."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inspection.archive import Archive
from inspection.recovery import recover
from inspection.verify import verify_archive
from tests.faults.power_cut import Disk, Step, read_log
from tests.faults.preloaded import compiled

pytestmark = pytest.mark.timeout(300)
CUTS = 40

WRITER = """
import sys, threading
from pathlib import Path
from inspection.archive import Archive
from inspection.records import Draft, FrameRecord

root = Path(sys.argv[1])
acks = open(root / "acks", "wb", buffering=0)
with Archive(root / "archive") as archive:
    def work(station, rounds):
        for number in range(rounds):
            names = [archive.images.put(f"{station} {number} {part}".encode() * 400, ".png") for part in range(2)]
            drafts = [Draft("unit", f"{station}-{number}-{part}", outcome="PASS",
                            frames=(FrameRecord("c", number, "t", name),)) for part, name in enumerate(names)]
            entries = archive.append_all(drafts, station)
            acks.write("".join(f"{entry.name} {entry.hash}\\n" for entry in entries).encode())
    others = threading.Thread(target=work, args=("left", 15))
    others.start()
    work("s", 20)
    others.join()
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Step]]:
    """What a writer did to its files."""
    folder = tmp_path_factory.mktemp("power")
    library, root = compiled("power_cut", folder), folder / "disk"
    root.mkdir()
    environment = {"LD_PRELOAD": str(library), "POWER_CUT_ROOT": str(root), "POWER_CUT_LOG": str(folder / "log")}
    words = [sys.executable, "-c", WRITER, str(root)]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = read_log(folder / "log")
    assert sum(step.what == "S" for step in found) > 50
    return str(root), found


def after_cut(steps: tuple[str, list[Step]], at: int, folder: Path, chance: random.Random | None) -> dict[str, str]:
    """The disk after a cut before step `at`, in `folder`; the records that had been acknowledged, with their hashes."""
    root, log = steps
    disk, told = Disk(), ""
    for step in log[:at]:
        if step.path.endswith("/acks"):
            told += step.data.decode()
        else:
            disk.take(step)
    folder.mkdir()
    disk.write_to(root, folder, chance)
    return dict(line.split(" ") for line in told.splitlines())  # type: ignore[misc]


def check(folder: Path, told: dict[str, str]) -> None:
    with Archive(folder / "archive") as archive:
        for station in ("s", "left"):
            recover(archive, station)
        for name, hash_ in told.items():
            station, _, number = name.partition("/")
            entry = archive.get(station, int(number))
            assert entry is not None and entry.hash == hash_, f"{name} was acknowledged and is gone"
            assert archive.images.get(str(entry.frames[0].image))
    assert verify_archive(folder / "archive").problems == []


@pytest.mark.parametrize("rest", ["nothing else", "any part of the rest"])
def test_whenever_the_power_is_cut_all_that_was_acknowledged_is_there(
    rest: str, steps: tuple[str, list[Step]], tmp_path: Path
) -> None:
    seed = random.Random(f"cuts {rest}")
    acknowledged = 0
    for number in range(CUTS):
        at = seed.randint(1, len(steps[1]))
        folder = tmp_path / str(number)
        told = after_cut(steps, at, folder, random.Random(at) if rest.startswith("any") else None)
        acknowledged += len(told)
        check(folder, told)
        shutil.rmtree(folder)
    assert acknowledged > 10 * CUTS


def test_the_simulation_loses_what_is_not_synced(steps: tuple[str, list[Step]], tmp_path: Path) -> None:
    """Without its syncs the same writer would lose records: so the test above can fail."""
    root, log = steps
    careless = root, [step for step in log if step.what != "S" or not step.path.endswith((".sqlite", "-wal"))]
    told = after_cut(careless, len(careless[1]), tmp_path / "careless", None)
    assert len(told) == 70
    with pytest.raises(Exception, match=r"gone|missing|empty|cannot"):
        check(tmp_path / "careless", told)
