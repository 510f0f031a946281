"""How fast an archive is inspected again, and in how much memory: python -m benchmarks.reinspect --images N

One station's archive of N small simulated units with ten reviews in a thousand, then in processes of their own, each
with all cores: decoding alone and the detector alone (the two limits), a run with one package, a run with two of the
same model input. Printed are images a second, each run's share of the smaller limit, what two packages cost against
one, and the peak memory of the whole process. The units' records are made as rows; their images are real files.

Both limits want the same cores: what takes `a` ms of processor time to decode and `b` ms to find can have no larger
share of the smaller limit than max(a, b) / (a + b), which is `most_share`. So the bare work is measured too: each image
read, decoded and searched by the same threads, and nothing recorded. `bare_of_run` is its processor time over that of
the run, which other processes on the machine hardly change.
"""

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from PIL import Image

from data.simulator import write_dataset
from data.splits import make_split
from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.detector import Detector, available_cores
from inspection.frames import decode_frame, list_images, read_frame
from inspection.lineup import load_lineup
from inspection.ordered_pool import map_in_order
from inspection.package import read_package, seal, write_package
from inspection.records import GENESIS, Draft, FrameRecord, to_row, utc_text
from inspection.reinspect import Reinspection
from inspection.verdict import Limits, decide
from training.fit import fit_anomaly
from training.options import FitOptions

_BEGAN = datetime(2026, 7, 1, tzinfo=UTC)
_DISTINCT = 200
_LIMIT_IMAGES = 400
RUNTIME = "openvino"


class Pace(NamedTuple):
    """Images a second on the clock, and the processor time that one took, in ms."""

    per_s: float
    cpu_ms: float


def _pace(results: Iterable[object]) -> Pace:
    """Of what comes out until there is no more."""
    began, cpu = time.perf_counter(), time.process_time()
    done = sum(1 for _ in results)
    return Pace(done / (time.perf_counter() - began), 1e3 * (time.process_time() - cpu) / done)


def make_packages(folder: Path, size: int, longest: int | None) -> tuple[Path, Path, list[Path]]:
    """A small package, the same with other limits, and units' images."""
    write_dataset(folder, "vial", good=20, test_good=_DISTINCT, per_defect=2, seed=5)
    for path in (folder / "vial").rglob("*.png") if longest else ():
        image = Image.open(path)
        image.thumbnail((longest or 0, longest or 0))
        image.save(path)
    fitted = fit_anomaly(
        make_split("mvtec", folder, "vial"), folder,
        FitOptions(algorithm="patchcore", size=size, bank=300, folds=2, false_reject_rate=0.05),
    )  # fmt: skip
    one, two = folder / "one.onnx", folder / "two.onnx"
    write_package(one, fitted.data)
    read = read_package(one)
    limits = read.manifest.limits
    other = Limits(review_limit=limits.review_limit * 0.97, reject_limit=limits.reject_limit * 0.97)
    golden = [
        frame.model_copy(update={"outcome": decide(frame.score, other).outcome}) for frame in read.manifest.golden
    ]
    manifest = read.manifest.model_copy(update={"limits": other, "golden": golden, "version": "2.0.0"})
    two.write_bytes(seal(onnx.ModelProto.FromString(read.model), manifest, read.golden))
    images = [path for name in ("good", "crack") for path in list_images(folder / "vial" / "test" / name)]
    return one, two, images


def fill(folder: Path, images: list[Path], package: Path, count: int) -> None:
    """An archive of so many units, chained as a station chains them; of a thousand, ten have a review."""
    read = read_package(package)
    digest, limits = read.digest, read.manifest.limits
    detector = Detector(read, RUNTIME)
    with Archive(folder) as archive:
        names = [archive.images.put(path.read_bytes(), ".png") for path in images]
        scores = [detector.find(read_frame(path).pixels).score for path in images]
        rows: list[dict[str, Any]] = []
        previous, sequence = GENESIS, 0
        for number in range(count):
            at, place = utc_text(_BEGAN + timedelta(seconds=number)), number % len(images)
            verdict, unit = decide(scores[place], limits), f"U{number:08d}"
            frame = FrameRecord("camera-1", number, at, names[place], score=scores[place])
            drafts = [Draft(
                "unit", unit=unit, batch=f"B-{number // 20_000}", product="vial", recipe="vials 1.0.0", package=digest,
                outcome=verdict.outcome, reason=verdict.reason, score=scores[place], review_limit=limits.review_limit,
                reject_limit=limits.reject_limit, latency_ms=20.0, frames=(frame,),
            )]  # fmt: skip
            for draft in drafts:
                sequence += 1
                rows.append(to_row(draft, "station-1", sequence, previous, at))
                previous = rows[-1]["hash"]
            if number % 100 == 7:
                said = {"reviews": f"station-1/{sequence}", "record_hash": previous, "labels": [], "comment": "",
                        "reviewer": "rita", "decision": "false_reject"}  # fmt: skip
                sequence += 1
                review = Draft("event", unit=unit, product="vial", reason="review", details=said)
                rows.append(to_row(review, "station-1", sequence, previous, at))
                previous = rows[-1]["hash"]
            if len(rows) >= 5_000:
                archive.take(rows)
                rows = []
        if rows:
            archive.take(rows)


def _decode(folder: Path, count: int) -> Pace:
    with Archive(folder, read_only=True) as archive:
        work = ArchiveWork(archive)
        work.pin()
        names = [item.images[0] for item in islice(work.items(), count)]
        return _pace(map_in_order(lambda name: decode_frame(work.read(name), name), names, available_cores()))


def _detect(folder: Path, packages: tuple[Path, ...], count: int) -> Pace:
    detector = load_lineup(packages, None, [RUNTIME], 1, available_cores())[0]
    with Archive(folder, read_only=True) as archive:
        work = ArchiveWork(archive)
        work.pin()
        frames = [decode_frame(work.read(item.images[0]), "frame") for item in islice(work.items(), 64)]
    frames = [frames[number % len(frames)] for number in range(count)]
    list(map_in_order(detector.find, frames[:8], available_cores()))
    return _pace(map_in_order(detector.find, frames, available_cores()))


def _bare(folder: Path, packages: tuple[Path, ...], count: int) -> Pace:
    """Both limits' work in turn, without a record or a result."""
    detector = load_lineup(packages, None, [RUNTIME], 1, available_cores())[0]
    with Archive(folder, read_only=True) as archive:
        work = ArchiveWork(archive)
        work.pin()
        names = [item.images[0] for item in islice(work.items(), count)]
        return _pace(map_in_order(
            lambda name: detector.find(decode_frame(work.read(name), name)), names, available_cores()
        ))  # fmt: skip


def _run(folder: Path, packages: tuple[Path, ...], out: Path) -> Pace:
    """The pass over the images, the first to the last."""
    detectors = load_lineup(packages, None, [RUNTIME] * len(packages), 1, available_cores())
    times: list[tuple[float, float]] = []

    def progress(done: int, total: int) -> None:
        if done in (0, total):
            times.append((time.perf_counter(), time.process_time()))

    with Archive(folder, read_only=True) as archive:
        run = Reinspection(ArchiveWork(archive), detectors[0], further=tuple(detectors[1:]))
        units = run.run(out, progress)["units"]
    (began, cpu), (ended, cpu_ended) = times
    return Pace(units / (ended - began), 1e3 * (cpu_ended - cpu) / units)


def _apart(work: Callable[..., Pace], *words: Any) -> tuple[Pace, float]:
    """The pace, and the peak memory in MiB, of work in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_report, args=(there, work, words))
    process.start()
    pace, peak = here.recv()
    process.join()
    return pace, peak


def _report(pipe: Any, work: Callable[..., Pace], words: tuple[Any, ...]) -> None:
    pace = work(*words)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with what the parent had
    pipe.send((pace, int(status.split("VmHWM:")[1].split()[0]) / 1024))


def measure(place: Path, count: int, options: argparse.Namespace) -> dict[str, float]:
    """All of it for one number of images, or the run with two packages alone."""
    one, two, images = make_packages(place / "data", options.size, options.longest)
    began = time.perf_counter()
    fill(place / "archive", images, one, count)
    print(f"{count:,} records made in {time.perf_counter() - began:.0f} s", flush=True)
    if options.memory:
        double, peak = _apart(_run, place / "archive", (one, two), place / "out-2")
        return {"images": count, "two_packages_per_s": double.per_s, "peak_mib_two": peak}
    limits = min(count, _LIMIT_IMAGES)
    decode, _ = _apart(_decode, place / "archive", limits)
    detect, _ = _apart(_detect, place / "archive", (one,), limits)
    single, peak_single = _apart(_run, place / "archive", (one,), place / "out-1")
    bare, _ = _apart(_bare, place / "archive", (one,), limits)
    after, _ = _apart(_detect, place / "archive", (one,), limits)
    double, peak_double = _apart(_run, place / "archive", (one, two), place / "out-2")
    limit = min(decode.per_s, max(detect.per_s, after.per_s))  # the machine is shared: the better of before and after
    finding = min(detect.cpu_ms, after.cpu_ms)
    return {
        "images": count, "decode_per_s": decode.per_s, "detect_per_s": max(detect.per_s, after.per_s),
        "one_package_per_s": single.per_s, "share_of_limit": single.per_s / limit,
        "most_share": max(decode.cpu_ms, finding) / (decode.cpu_ms + finding),
        "decode_cpu_ms": decode.cpu_ms, "detect_cpu_ms": finding,
        "one_package_cpu_ms": single.cpu_ms, "bare_per_s": bare.per_s, "bare_of_run": bare.cpu_ms / single.cpu_ms,
        "two_packages_per_s": double.per_s, "two_cost_of_one": single.per_s / double.per_s,
        "two_cpu_of_one": double.cpu_ms / single.cpu_ms, "peak_mib_one": peak_single, "peak_mib_two": peak_double,
    }  # fmt: skip


def main() -> None:
    """Measure each number of images that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000], help="How many, one measurement each.")
    parser.add_argument("--size", type=int, default=96, help="Side of the model input, in pixels.")
    parser.add_argument("--longest", type=int, help="Shrink the images to this longer side, in pixels.")
    parser.add_argument("--memory", action="store_true", help="Only the run with two packages and its memory.")
    parser.add_argument("--folder", type=Path, help="Where to write [default: a temporary folder].")
    options = parser.parse_args()
    for count in options.images:
        place = Path(tempfile.mkdtemp(prefix="reinspect-", dir=options.folder))
        try:
            found = measure(place, count, options)
            print(json.dumps({name: round(value, 3) for name, value in found.items()}), flush=True)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
