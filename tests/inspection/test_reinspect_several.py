"""Several packages in one pass over the images: each gives what it gives alone, and a run goes on to the same bytes."""

import json
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from inspection import image_finding
from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.detector import Detector
from inspection.errors import BadUsage
from inspection.frames import decode_frame
from inspection.heatmap import decode_heatmap
from inspection.lineup import JoinedDetector, join_detectors, load_lineup
from inspection.package import Package, open_package, read_package
from inspection.reinspect import Reinspection
from inspection.reinspect_report import per_package
from inspection.reinspect_source import Source
from inspection.unit_inspector import PackageFiles, UnitInspector
from inspection.verdict import Limits
from tests.inspection.reinspection import but_heatmaps, files, interrupt_at, with_limits

Fill = Callable[[int], Path]
Run = Callable[..., CompletedProcess[str]]
RUNTIME = "onnxruntime"


@pytest.fixture(scope="module")
def other_package(vial_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same detector with limits that stop about everything."""
    path = tmp_path_factory.mktemp("other") / "other.onnx"
    path.write_bytes(with_limits(vial_package, Limits(review_limit=-2.0, reject_limit=-1.0)))
    return path


@pytest.fixture(scope="module")
def both(vial_package: Path, other_package: Path) -> list[Detector]:
    return load_lineup([vial_package, other_package], None, [RUNTIME] * 2, threads=1, parallel=2)


def run(folder: Path, detectors: list[Detector], out: Path, **options: Any) -> dict[str, Any]:
    progress = options.pop("progress", lambda _done, _total: None)
    with Archive(folder, read_only=True) as archive:
        first, *further = detectors
        return Reinspection(ArchiveWork(archive), first, further=tuple(further), **options).run(out, progress)


def test_each_package_gives_what_it_gives_alone(
    filled_archive: Fill, both: list[Detector], package: Package, other_package: Path, tmp_path: Path
) -> None:
    assert all(isinstance(one, JoinedDetector) for one in both)  # one graph: what they share is computed once
    folder = filled_archive(12)
    together = per_package(run(folder, both, tmp_path / "both"))
    alone = [
        run(folder, [Detector(one, RUNTIME, threads=1)], tmp_path / str(number))
        for number, one in enumerate((package, read_package(other_package)))
    ]
    for joint, single in zip(together, alone, strict=True):
        differing = {name for name in single if joint[name] != single[name]} - {"run", "changed_verdicts"}
        assert not differing
        unnamed = [
            [{key: value for key, value in item.items() if key != "heatmap"} for item in one["changed_verdicts"]]
            for one in (joint, single)
        ]
        assert unnamed[0] == unnamed[1]
    assert together[0]["changed"] == 0 < together[1]["changed"]


def test_an_image_is_read_and_decoded_once(
    filled_archive: Fill, both: list[Detector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, decoded, read = filled_archive(6), [], []

    class Counted(ArchiveWork):
        def read(self, image: str) -> bytes:
            read.append(image)
            return super().read(image)

    monkeypatch.setattr(image_finding, "decode_frame", lambda *words: decoded.append(words[1]) or decode_frame(*words))
    with Archive(folder, read_only=True) as archive:
        seen: list[int] = []

        def progress(done: int, _total: int) -> None:
            if done == 6:
                seen.extend((len(read), len(decoded)))

        Reinspection(Counted(archive), both[0], further=tuple(both[1:])).run(tmp_path / "out", progress)
    assert seen == [6, 6]


def test_packages_that_cannot_share_a_graph_run_one_by_one(
    package: Package, classifier_package: Path, filled_archive: Fill, tmp_path: Path
) -> None:
    detectors = join_detectors([package, read_package(classifier_package)], [RUNTIME, "openvino"], 1, 1)
    assert not any(isinstance(one, JoinedDetector) for one in detectors)
    result = run(filled_archive(3), detectors, tmp_path / "out")
    assert [said["runtime"] for said in per_package(result)] == [RUNTIME, "openvino"]


def test_killed_at_random_points_it_ends_with_the_same_bytes(
    filled_archive: Fill, vial_package: Path, other_package: Path, inspection: Run, tmp_path: Path
) -> None:
    """Killed wherever a file is written, renamed or synced: in a line, in a heatmap, in the report, in the table."""
    folder = filled_archive(10)
    words = ["reinspect", str(vial_package), str(other_package), "--archive", str(folder), "--runtime", RUNTIME,
             "--heatmaps", "3", "--quiet"]  # fmt: skip
    done = inspection(*words, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    whole = files(tmp_path / "whole")
    assert sum(name.startswith("heatmaps/") for name in whole) == 2 * 3
    program = """
import os, sys
from inspection import cli
left = int(sys.argv.pop(1))
def killing(call):
    def called(*words, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        return call(*words, **more)
    return called
import inspection.files, inspection.results_file
os.write, os.fsync, os.replace, os.rename = map(killing, (os.write, os.fsync, os.replace, os.rename))
cli.main(sys.argv[1:])
"""
    chosen, out, killed = random.Random(8), tmp_path / "out", 0
    for point in [chosen.randint(1, 40) for _ in range(4)] + [3, 25]:
        command = [sys.executable, "-c", program, str(point), *words, "--out", str(out)]
        ended = subprocess.run(command, check=False, capture_output=True, timeout=120)
        killed += ended.returncode == -signal.SIGKILL
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    assert killed >= 3
    done = inspection(*words, "--out", out)
    assert done.returncode == 0, done.stderr
    assert files(out) == whole


def test_interrupted_with_heatmaps(filled_archive: Fill, both: list[Detector], tmp_path: Path) -> None:
    folder = filled_archive(9)
    run(folder, both, tmp_path / "whole", heatmaps=4)
    for after in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            run(folder, both, tmp_path / "out", heatmaps=4, progress=interrupt_at(after))
        assert but_heatmaps(tmp_path / "out") == ["results.jsonl"]
        torn = tmp_path / "out" / "heatmaps" / ".00000003-unit-2.npy.abc.part"
        torn.parent.mkdir(exist_ok=True)
        torn.write_bytes(b"torn")
    run(folder, both, tmp_path / "out", heatmaps=4)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_kept_heatmaps_are_those_of_the_changed(filled_archive: Fill, both: list[Detector], tmp_path: Path) -> None:
    folder, out = filled_archive(6), tmp_path / "out"
    result = per_package(run(folder, both, out, heatmaps=3))[1]
    named = [item["heatmap"] for item in result["changed_verdicts"]]
    assert [name is not None for name in named] == [True] * 3 + [False] * (len(named) - 3)
    for item in result["changed_verdicts"][:3]:
        assert (out / f"{item['heatmap']}.png").read_bytes().startswith(b"\x89PNG")
        kept = decode_heatmap((out / f"{item['heatmap']}.npy").read_bytes(), "kept")
        assert np.isclose(kept.max(), item["new_score"], rtol=0.5)
    assert len(list((out / "heatmaps").iterdir())) == 6


def test_the_table_has_a_row_for_each_unit_and_package(
    filled_archive: Fill, both: list[Detector], tmp_path: Path
) -> None:
    folder, out = filled_archive(5), tmp_path / "out"
    result = run(folder, both, out)
    rows = pq.read_table(out / "result.parquet").to_pylist()
    assert len(rows) == 10
    digests = [one.package.digest for one in both]
    assert [row["package"] for row in rows] == digests * 5
    for said, digest in zip(per_package(result), digests, strict=True):
        mine = [row for row in rows if row["package"] == digest]
        assert sum(row["changed"] for row in mine) == said["changed"]
    for row in rows:
        assert row["changed"] == (row["old_outcome"] != row["new_outcome"])
        assert row["old_score"] == row["new_score"]
        assert row["cameras"] == ["file"]
        assert row["record"] == f"{row['station']}/{row['sequence']}"


def test_the_same_package_twice_is_refused(vial_package: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.onnx").write_bytes(vial_package.read_bytes())
    with pytest.raises(BadUsage, match="once"):
        load_lineup([vial_package, tmp_path / "copy.onnx"], None, [RUNTIME] * 2, 1, 1)


def test_the_function_travels_to_another_process_and_opens_there_what_it_needs(
    filled_archive: Fill, vial_package: Path, other_package: Path, both: list[Detector]
) -> None:
    folder = filled_archive(3)
    digests = tuple(one.package.digest for one in both)
    files_of = PackageFiles((vial_package, other_package), None, (RUNTIME,) * 2, digests)
    with Archive(folder, read_only=True) as archive:
        work = ArchiveWork(archive)
        work.pin()
        items = list(work.items())
        here = UnitInspector("package", work=work, detectors=both, source=Source("archive", folder), files=files_of)
        there = pickle.loads(pickle.dumps(here))
        for item in pickle.loads(pickle.dumps(items)):
            assert there(item).results == here(item).results
        there.close()
        with pytest.raises(TypeError, match="cannot travel"):
            pickle.dumps(UnitInspector("package", work=work, detectors=both))
    other = PackageFiles((vial_package, other_package), None, (RUNTIME,) * 2, digests[::-1])
    with pytest.raises(ValueError, match="another one"):
        UnitInspector("package", source=Source("archive", folder), files=other)(items[0])


def test_progress_for_a_supervisor_is_exact(
    filled_archive: Fill, vial_package: Path, inspection: Run, tmp_path: Path
) -> None:
    folder = filled_archive(5)
    done = inspection("reinspect", vial_package, "--archive", folder, "--out", tmp_path / "out", "--progress", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (lines[0]["done"], lines[0]["total"], lines[0]["seconds_left"]) == (0, 5, None)
    assert (lines[-1]["done"], lines[-1]["total"], lines[-1]["seconds_left"]) == (5, 5, 0)
    assert all(line["event"] == "progress" for line in lines)


def test_an_other_package_is_a_whole_package(other_package: Path) -> None:
    assert open_package(other_package.read_bytes(), "other").manifest.version == "9.0.0"
