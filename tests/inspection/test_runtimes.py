"""Engines are interchangeable: each gives the golden scores, none changes a verdict, none switches precision."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from inspection import runtime as registry
from inspection.detector import Detector
from inspection.finding import GoldenMismatch
from inspection.frames import Pixels, read_frame
from inspection.package import Package, open_package, seal
from inspection.runtime import RUNTIMES, Outputs, PrecisionUnsupported, RuntimeFault, load_runtime
from inspection.runtime_choice import fastest
from inspection.runtimes.names import NAMES
from inspection.verdict import decide


def resealed(package: Package, **changes: object) -> Package:
    manifest = package.manifest.model_copy(update=changes)
    return open_package(seal(onnx.load_model_from_string(package.model), manifest, package.golden), "changed.onnx")


@pytest.fixture
def frames(vial_images: dict[str, list[Path]]) -> list[Pixels]:
    return [read_frame(path).pixels for paths in vial_images.values() for path in paths]


def test_the_names_a_person_may_give_are_those_of_the_registry() -> None:
    assert tuple(RUNTIMES) == NAMES


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_runtime_answers_the_same_alone_and_in_a_crowd(
    runtime: str, threads: int, package: Package, frames: list[Pixels]
) -> None:
    detector = Detector(package, runtime, threads, parallel=2)
    alone = [detector.find(frame) for frame in frames]
    again = Detector(package, runtime, threads)

    with ThreadPoolExecutor(8) as pool:
        crowd = list(pool.map(detector.find, frames * 3))

    for index, finding in enumerate([*crowd, *map(again.find, frames)]):
        assert finding.score == alone[index % len(frames)].score
        assert np.array_equal(finding.heatmap, alone[index % len(frames)].heatmap)


_FIRST_RUNS_TOGETHER = """
import sys, threading
sys.setswitchinterval(1e-7)
from pathlib import Path
from inspection.package import read_package
from inspection.runtime import load_runtime
package = read_package(Path(sys.argv[2]))
runtime = load_runtime(sys.argv[1], package.model, 1, parallel=2)
frame = package.golden[package.manifest.golden[0].name][None]
both = threading.Barrier(2)
def first_run():
    both.wait()
    runtime.run(frame)
threads = [threading.Thread(target=first_run) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_threads_may_make_the_very_first_runs(runtime: str, vial_package: Path) -> None:
    """Several processes, for the hang that this once was came about in one of four."""
    command = [sys.executable, "-c", _FIRST_RUNS_TOGETHER, runtime, str(vial_package)]

    processes = [subprocess.Popen(command) for _ in range(6)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0] * 6
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_batch_gives_what_its_frames_give(runtime: str, package: Package) -> None:
    loaded = load_runtime(runtime, package.model, 1)
    batch = np.stack([package.golden[golden.name] for golden in package.manifest.golden])
    together = loaded.run(batch)

    for index, frame in enumerate(batch):
        alone = loaded.run(frame[None])
        for name in ("score", "heatmap"):
            np.testing.assert_allclose(together[name][index], alone[name][0], rtol=1e-4, atol=1e-3)


def test_no_verdict_flips_between_runtimes_at_fp32(package: Package, frames: list[Pixels]) -> None:
    limits, tolerance = package.manifest.limits, package.manifest.golden_tolerance
    detectors = [Detector(package, name) for name in RUNTIMES]

    for frame in frames:
        first, *others = (detector.find(frame) for detector in detectors)
        for other in others:
            assert decide(other.score, limits) == decide(first.score, limits)
            assert other.score == pytest.approx(first.score, abs=tolerance)
            np.testing.assert_allclose(other.heatmap, first.heatmap, atol=0.05 * first.score)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_precision_that_a_runtime_does_not_compute_is_refused(
    runtime: str, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RUNTIMES[runtime], "precisions", lambda: frozenset({"fp32"}))

    with pytest.raises(PrecisionUnsupported, match=f"runtime {runtime} does not compute bf16 on this machine; serve"):
        Detector(resealed(package, precision="bf16"), runtime)


def test_a_precision_that_no_runtime_computes_is_refused(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in RUNTIMES.values():
        monkeypatch.setattr(engine, "precisions", lambda: frozenset({"fp32"}))

    with pytest.raises(PrecisionUnsupported, match="no runtime here computes int8"):
        Detector(resealed(package, precision="int8"), "auto")


def test_without_openvino_only_onnx_runtime_is_there(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUNTIMES["openvino"], "precisions", lambda: frozenset())

    assert registry.able("fp32") == ["onnxruntime"]
    assert Detector(package, "auto").runtime == "onnxruntime"
    with pytest.raises(RuntimeFault, match="openvino is not installed here"):
        Detector(package, "openvino")


class Wrong:
    """A runtime whose scores are not those of the graph."""

    def __init__(self, name: str, model: bytes) -> None:
        self.name, self._inner = name, load_runtime("onnxruntime", model, 1)

    def run(self, frames: Pixels) -> Outputs:
        return {name: values + 1 for name, values in self._inner.run(frames).items()}


@pytest.mark.parametrize("wrong", RUNTIMES)
def test_auto_never_takes_a_runtime_that_fails_the_golden_check(
    wrong: str, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, model: bytes, *rest: object) -> object:
        return Wrong(name, model) if name == wrong else load_runtime(name, model, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("inspection.runtime_choice.load_runtime", load)

    assert Detector(package, "auto").runtime != wrong
    with pytest.raises(GoldenMismatch, match=f"must not serve it with {wrong}"):
        Detector(package, wrong)


def test_auto_refuses_where_every_runtime_fails_the_golden_check(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspection.runtime_choice.load_runtime", lambda name, model, *_: Wrong(name, model))

    with pytest.raises(GoldenMismatch):
        Detector(package, "auto")


def timed(milliseconds: list[float]) -> tuple[list[SimpleNamespace], Callable[[], float]]:
    """Runtimes that need so long each, and the clock that says so."""
    now = [0.0]

    def runtime(needs: float) -> SimpleNamespace:
        def run(_: Pixels) -> None:
            now[0] += needs / 1000

        return SimpleNamespace(name=str(needs), run=run)

    return [runtime(needs) for needs in milliseconds], lambda: now[0]


@pytest.mark.parametrize(
    ("milliseconds", "chosen"), [([10], 0), ([10, 5], 1), ([10, 9.5], 0), ([10, 20], 0), ([900, 500], 1)]
)
def test_auto_prefers_the_first_unless_another_is_clearly_faster(milliseconds: list[float], chosen: int) -> None:
    runtimes, clock = timed(milliseconds)

    assert fastest(runtimes, np.zeros((32, 32, 3), np.uint8), clock) is runtimes[chosen]  # type: ignore[arg-type,comparison-overlap]
