"""The detector in its own process: the same findings to the last bit; killed, hung or late, every frame is answered."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspection.detector import Detector
from inspection.finding import Finding
from inspection.frames import read_frame
from inspection.image_finding import ImageFinding
from inspection.recipe import Recipe, read_recipe
from inspection.verdict import Reason
from serve.pipeline.inspector import Inspector, InspectorRefused, ProcessDetector
from serve.pipeline.worker import Backoff
from tests.serve.pipeline.workers import PIXELS, proved_once, told_what_to_do
from tests.serve.serving import wait_for, write_recipe


@pytest.fixture
def recipe(tmp_path: Path, vial_package: Path) -> Recipe:
    return read_recipe(write_recipe(tmp_path, vial_package, runtime="onnxruntime"))


class Asked:
    """An inspector whose frames say what the process does, with all its answers in order."""

    def __init__(self, recipe: Recipe, folder: Path, **options: object) -> None:
        self.alarms: list[str] = []
        self.answers: dict[str, ImageFinding] = {}
        self.inspector = Inspector(recipe, folder, alarm=self.alarms.append, main=told_what_to_do, **options)  # type: ignore[arg-type]
        self.inspector.start()

    def ask(self, name: str, within_s: float = 60.0, wanted: bool = True) -> None:
        self.inspector.ask(
            name, PIXELS, lambda found: self.answers.update({name: found}), time.monotonic() + within_s, lambda: wanted
        )

    def reason(self, name: str) -> Reason | None:
        """Why a frame has no finding, once it is answered."""
        wait_for(lambda: name in self.answers)
        failure = self.answers[name].failure
        return failure.reason if failure else None


@pytest.fixture
def asked(recipe: Recipe, tmp_path: Path) -> Iterator[Asked]:
    own = Asked(recipe, tmp_path, slow_s=1.0)
    yield own
    own.inspector.stop()


def test_finds_what_the_detector_finds_to_the_last_bit(
    recipe: Recipe, tmp_path: Path, detector: Detector, vial_images: dict[str, list[Path]]
) -> None:
    inspector = Inspector(recipe, tmp_path, threads=1, lanes=2)
    runtime = inspector.start()
    try:
        process = ProcessDetector(detector.package, None, inspector, runtime)
        alone = Detector(detector.package, "onnxruntime", 1)
        for path in (*vial_images["good"][:2], *vial_images["crack"][:2]):
            pixels = read_frame(path).pixels
            there, here = process.find(pixels), alone.find(pixels)
            assert there.score == here.score
            assert np.array_equal(there.heatmap, here.heatmap)
    finally:
        inspector.stop()


def test_killed_the_begun_frames_fail_and_the_others_are_found(asked: Asked) -> None:
    for name in ("wait a", "wait b", "c"):
        asked.ask(name)
    pid = asked.inspector.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert [asked.reason(name) for name in ("wait a", "wait b", "c")] == [Reason.MODEL_FAULT, Reason.MODEL_FAULT, None]
    assert asked.alarms == ["", "inspector died (signal 9)", ""]
    assert asked.inspector.restarts == 1
    assert isinstance(asked.answers["c"].finding, Finding)


def test_hung_it_is_killed_and_the_next_frame_is_found(asked: Asked) -> None:
    asked.ask("hang")
    assert asked.reason("hang") is Reason.MODEL_FAULT
    asked.ask("next")
    assert asked.reason("next") is None


def test_started_again_and_not_qualified_any_more_it_says_so_and_finds_nothing(recipe: Recipe, tmp_path: Path) -> None:
    alarms: list[str] = []
    inspector = Inspector(
        recipe, tmp_path, alarm=alarms.append, main=proved_once, backoff=Backoff(first_s=0.01, longest_s=0.01, most=2)
    )
    inspector.start()
    answers: list[ImageFinding] = []
    inspector.ask("fatal", PIXELS, answers.append)
    wait_for(lambda: "must not serve" in alarms[-1])
    inspector.ask("next", PIXELS, answers.append)
    wait_for(lambda: len(answers) == 2)
    inspector.stop()
    reasons = [one.failure.reason for one in answers if one.failure]
    assert reasons == [Reason.MODEL_FAULT, Reason.RUNTIME_NOT_QUALIFIED]


def test_what_cannot_be_done_in_time_is_not_begun(asked: Asked) -> None:
    asked.ask("first")
    assert asked.reason("first") is None
    asked.ask("gone", within_s=-1)
    assert asked.reason("gone") is Reason.LATE
    asked.ask("decided already", wanted=False)
    asked.ask("last")
    assert asked.reason("last") is None
    assert "decided already" not in asked.answers
    assert asked.inspector.waiting == 0


def test_after_a_slow_time_it_is_tried_whether_it_is_quick_again(asked: Asked) -> None:
    asked.ask("first")
    assert asked.reason("first") is None
    asked.inspector._took_s = 100.0  # as if the machine had been busy with something else
    assert asked.inspector.busy_s(4) == 0
    for number in range(20):
        asked.ask(f"again {number}", within_s=5)
        assert asked.reason(f"again {number}") is None
    assert asked.inspector._took_s < 1


def test_a_detector_that_raises_is_a_model_fault(asked: Asked) -> None:
    asked.ask("broken")
    assert asked.reason("broken") is Reason.MODEL_FAULT
    asked.ask("next")
    assert asked.reason("next") is None
    assert asked.inspector.restarts == 0


def test_given_up_it_answers_at_once(recipe: Recipe, tmp_path: Path) -> None:
    asked = Asked(recipe, tmp_path, backoff=Backoff(first_s=0.01, most=0))
    pid = asked.inspector.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: any("times within" in alarm for alarm in asked.alarms))
    asked.ask("after")
    assert asked.reason("after") is Reason.MODEL_FAULT
    asked.inspector.stop()


def test_a_package_that_is_refused_is_refused_at_the_start(tmp_path: Path, vial_package: Path) -> None:
    recipe = read_recipe(write_recipe(tmp_path, vial_package, package={"path": str(vial_package), "sha256": "0" * 64}))
    with pytest.raises(InspectorRefused, match="asks for 000000000000"):
        Inspector(recipe, tmp_path).start()
