"""Interrupted at any moment and started again, a re-inspection ends with the same bytes as one that was not."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from inspection import results_file
from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.detector import Detector
from inspection.errors import OutputExists, OutputNotWritable
from inspection.folder_work import FolderWork
from inspection.frames import read_frame
from inspection.ordered_pool import map_in_order
from inspection.package import Package
from inspection.recipe import Recipe
from inspection.reinspect import Reinspection
from inspection.results_file import ResultsFile, ResultsInUse, ResultsOfAnotherRun
from inspection.runtime import RUNTIMES
from inspection.station import Station
from inspection.unit_result import LimitsFrom
from inspection.verdict import Reason
from tests.inspection.reinspection import but_heatmaps, files, interrupt_at

Run = Callable[..., CompletedProcess[str]]
Images = dict[str, list[Path]]
UNITS = 14
SAME = ("--runtime", "onnxruntime")  # the one of the fixture `detector`


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, detector: Detector, vial_images: Images) -> Path:
    """UNITS units of two stations, of which some change, one has a damaged image, and one more has none."""
    folder = tmp_path_factory.mktemp("resume") / "archive"
    paths = [path for group in zip(*vial_images.values(), strict=False) for path in group]
    with Archive(folder) as opened:
        for number in range(UNITS):
            recipe = Recipe.model_validate(
                {"name": "vials", "version": "1.0.0", "product": "vial", "package": {"path": "vial.onnx"},
                 "station": f"station-{number % 2}", "deadline_ms": 60_000}
            )  # fmt: skip
            station, frame = Station(recipe, detector, opened), read_frame(paths[number % len(paths)])
            if number == 6:  # one that would pass
                station.reject(Reason.QUEUE_FULL, "full", unit="full", frame=frame)
            else:
                station.inspect(frame, unit=f"unit-{number}")
        station.reject(Reason.FRAME_LOST, "lost", unit="lost")
        image = opened.latest(4)[-1].frames[0].image
        assert image
        opened.images.path(image).write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(archive: Path, detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted") / "out"
    start(archive, detector, out)
    result = json.loads((out / "result.json").read_text())
    assert result["units"] == UNITS
    assert result["unreadable"]
    assert result["changed_verdicts"]
    return files(out)


def start(
    archive: Path,
    detector: Detector,
    out: Path,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    limits_from: LimitsFrom = "package",
    threads: int | None = None,
) -> None:
    with Archive(archive, read_only=True) as opened:
        Reinspection(ArchiveWork(opened), detector, limits_from, threads).run(out, progress)


@pytest.mark.parametrize("after", [0, 1, 5, UNITS - 1, UNITS])
def test_an_interrupted_run_goes_on_to_the_same_files(
    after: int, archive: Path, detector: Detector, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        start(archive, detector, out, interrupt_at(after))
    assert but_heatmaps(out) == ["results.jsonl"]
    seen: list[int] = []
    start(archive, detector, out, lambda done, _: seen.append(done))
    assert seen == list(range(after, UNITS + 1))
    assert files(out) == uninterrupted


def test_interrupted_again_and_again(
    archive: Path, detector: Detector, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    for after in (2, 3, 7, 8):
        with pytest.raises(KeyboardInterrupt):
            start(archive, detector, tmp_path / "out", interrupt_at(after))
    start(archive, detector, tmp_path / "out")
    start(archive, detector, tmp_path / "out")
    assert files(tmp_path / "out") == uninterrupted


def test_a_torn_or_damaged_end_is_done_again(
    archive: Path, detector: Detector, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    whole = uninterrupted["results.jsonl"]
    header = whole.index(b"\n") + 1
    middle = whole.index(b"\n", (header + len(whole)) // 2)
    ends = [whole[:header], whole[: header + 1], whole[:middle], whole[: middle + 1], whole[: middle + 30], whole[:-1]]
    ends += [whole[:middle] + b"\0" * 4096, whole[: middle + 1] + b"{}\n" + whole[middle + 1 :]]
    for number, end in enumerate(ends):
        out = tmp_path / str(number)
        out.mkdir()
        (out / "results.jsonl").write_bytes(end)
        start(archive, detector, out)
        assert files(out) == uninterrupted, number


@pytest.mark.parametrize("after", [1, 6, UNITS])
def test_killed_and_started_again(
    after: int, archive: Path, vial_package: Path, uninterrupted: dict[str, bytes], inspection: Run, tmp_path: Path
) -> None:
    """Killed by itself, in the middle of a line that it had begun to write."""
    program = f"""
import os, sys
from inspection import cli, results_file
written, write = [], os.write
def torn(file, data):
    written.append(data)
    if len(written) == {after}:
        write(file, bytes(data)[: len(data) // 2])
        os.kill(os.getpid(), 9)
    return write(file, data)
results_file.os.write = torn
cli.main(sys.argv[1:])
"""
    out = tmp_path / "out"
    arguments = ["reinspect", "--archive", str(archive), str(vial_package), "--out", str(out), *SAME]
    killed = subprocess.run([sys.executable, "-c", program, *arguments], check=False, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert but_heatmaps(out) == ["results.jsonl"]
    assert not (out / "results.jsonl").read_bytes().endswith(b"\n")
    done = inspection(*arguments)
    assert done.returncode == 0, done.stderr
    assert files(out) == uninterrupted


@pytest.mark.parametrize(("sent", "returned"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_from_outside(
    sent: signal.Signals,
    returned: int,
    vial_images: Images,
    vial_package: Path,
    inspection: Run,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [path for group in vial_images.values() for path in group]
    for number in range(300):
        (folder / f"{number:03}.png").hardlink_to(paths[number % len(paths)])
    arguments = ["reinspect", "--folder", str(folder), str(vial_package), *SAME]
    assert inspection(*arguments, "--out", tmp_path / "whole").returncode == 0
    out = tmp_path / "out"
    # A shell that starts the tests in the background has them ignore SIGINT, and children inherit that.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heed}; import inspection.cli as cli; cli.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments, "--out", str(out), "--threads", "1"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "results.jsonl").exists() or (out / "results.jsonl").read_bytes().count(b"\n") < 10:
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == returned, said
    assert "Traceback" not in said
    assert ("the same command goes on from there" in said) == (sent == signal.SIGINT)
    assert not (out / "result.json").exists()
    assert inspection(*arguments, "--out", out).returncode == 0
    assert files(out) == files(tmp_path / "whole")


def test_the_number_of_threads_changes_nothing(
    archive: Path, detector: Detector, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    for threads in (1, 5):
        start(archive, detector, tmp_path / str(threads), threads=threads)
        assert files(tmp_path / str(threads)) == uninterrupted


def test_another_run_in_the_same_folder_is_refused(
    archive: Path, detector: Detector, vial_images: Images, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        start(archive, detector, out, interrupt_at(3))
    before = files(out)
    with pytest.raises(ResultsOfAnotherRun, match=r"limits.*choose another folder"):
        start(archive, detector, out, limits_from="recorded")
    with pytest.raises(ResultsOfAnotherRun, match="source"):
        Reinspection(FolderWork(vial_images["good"][0].parent), detector).run(out)
    assert files(out) == before


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_began_in_one_runtime_ends_in_it(
    runtime: str, archive: Path, package: Package, vial_package: Path, inspection: Run, tmp_path: Path
) -> None:
    begun, out, whole = Detector(package, runtime, threads=1), tmp_path / "out", tmp_path / "whole"
    with pytest.raises(KeyboardInterrupt):
        start(archive, begun, out, interrupt_at(5))
    arguments = ["reinspect", "--archive", archive, vial_package, "--out", out]
    other = next(name for name in RUNTIMES if name != runtime)
    refused = inspection(*arguments, "--runtime", other)
    assert "is of a run that differs in runtime; choose another folder" in refused.stderr
    assert inspection(*arguments).returncode == 0
    start(archive, begun, whole)
    assert files(out) == files(whole)


@pytest.mark.parametrize("how", ["added", "renamed", "replaced"])
def test_a_folder_of_images_that_changed_is_refused(
    how: str, detector: Detector, vial_images: Images, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for path in vial_images["good"]:
        (folder / path.name).write_bytes(path.read_bytes())
    last = max(folder.iterdir())
    with pytest.raises(KeyboardInterrupt):
        Reinspection(FolderWork(folder), detector).run(tmp_path / "out", interrupt_at(2))
    if how == "renamed":
        last.rename(folder / "zzz.png")
    else:
        (folder / "zzz.png" if how == "added" else last).write_bytes(vial_images["crack"][0].read_bytes())
    with pytest.raises(ResultsOfAnotherRun, match="source"):
        Reinspection(FolderWork(folder), detector).run(tmp_path / "out")


def test_what_is_recorded_meanwhile_is_left_out(
    filled_archive: Callable[[int], Path], recipe: Recipe, detector: Detector, vial_images: Images, tmp_path: Path
) -> None:
    folder = filled_archive(6)
    start(folder, detector, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        start(folder, detector, tmp_path / "out", interrupt_at(3))
    with Archive(folder) as opened:
        for station in (recipe.station, "another-station"):
            Station(recipe.model_copy(update={"station": station}), detector, opened).inspect(
                read_frame(vial_images["crack"][0])
            )
    start(folder, detector, tmp_path / "out")
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_files_that_a_run_did_not_write_are_left_alone(archive: Path, detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report.html").write_text("someone's report")
    with pytest.raises(OutputExists, match=r"report\.html"):
        start(archive, detector, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "results.jsonl").write_text("someone's results")
    with pytest.raises(ResultsOfAnotherRun, match="not a file of results"):
        start(archive, detector, tmp_path / "b")
    assert files(tmp_path / "a") == {"report.html": b"someone's report"}
    assert files(tmp_path / "b") == {"results.jsonl": b"someone's results"}


def test_two_runs_do_not_write_to_one_folder(archive: Path, detector: Detector, tmp_path: Path) -> None:
    with ResultsFile(tmp_path), pytest.raises(ResultsInUse):
        start(archive, detector, tmp_path)
    start(archive, detector, tmp_path)


def test_a_full_disk_is_an_error_and_the_run_goes_on_later(
    archive: Path,
    detector: Detector,
    uninterrupted: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, written = os.write, 0

    def full(file: int, data: memoryview) -> int:
        nonlocal written
        written += 1
        if written == 5:
            return write(file, data[:20])
        if written > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    with monkeypatch.context() as patched:
        patched.setattr(results_file.os, "write", full)
        with pytest.raises(OutputNotWritable, match="start the same command again"):
            start(archive, detector, tmp_path / "out")
    start(archive, detector, tmp_path / "out")
    assert files(tmp_path / "out") == uninterrupted


def test_results_come_in_order_and_the_list_is_read_only_a_little_ahead() -> None:
    read: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    def slow_first(number: int) -> int:
        if number == 0:
            assert second.wait(30)
        if number == 1:
            second.set()
        return number

    ahead = 0
    for done, number in enumerate(map_in_order(slow_first, items(), 2)):
        assert number == done
        ahead = max(ahead, len(read) - done)
    assert done == 999
    assert ahead <= 10
