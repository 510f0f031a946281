"""What a camera is watched for, without a camera: silence, frozen pictures, another resolution, gaps; and its state."""

from pathlib import Path

import numpy as np
import pytest

from inspection.config import ConfigInvalid
from inspection.frames import Frame
from inspection.verdict import Reason
from serve.cameras import Fault, Shot
from serve.cameras.camera import Watched
from serve.cameras.health import CameraState, Health
from serve.cameras.watch import Checks, Gaps, Silence, identical
from tests.serve.camera_sources import camera_of, numbered


def checked(checks: Checks, *brightness: int, shape: tuple[int, int] = (48, 64)) -> list[str]:
    """What becomes of frames of these brightnesses."""
    shots = (checks.check(Frame(np.full((*shape, 3), level, np.uint8), "", "cam")) for level in brightness)
    return [shot.reason if isinstance(shot, Fault) else "frame" for shot in shots]


def test_frames_that_stay_the_same_are_faults_from_the_third_on_until_one_differs() -> None:
    checks = Checks(Watched(None, 3, None))
    frozen = Reason.FRAME_FROZEN
    assert checked(checks, 1, 1, 1, 1, 2, 2, 1, 1, 1) == ["frame"] * 2 + [frozen] * 2 + ["frame"] * 4 + [frozen]


def test_frozen_frames_may_be_wanted() -> None:
    assert checked(Checks(Watched(None, 0, None)), *[1] * 9) == ["frame"] * 9


def test_one_bit_is_a_difference() -> None:
    one, other = numbered(1), numbered(1)
    assert identical(one, other)
    other[-1, -1, -1] ^= 1
    assert not identical(one, other)


def test_another_resolution_is_a_fault_that_names_both_until_it_is_as_before() -> None:
    checks = Checks(Watched(None, 3, None))
    checked(checks, 1)
    other = checks.check(Frame(np.zeros((24, 32, 3), np.uint8), "", "cam", 7))
    assert isinstance(other, Fault)
    assert (other.reason, other.sequence) == (Reason.FRAME_WRONG_GEOMETRY, 7)
    assert "32 x 24" in other.message and "64 x 48" in other.message
    assert checked(checks, 2) == ["frame"]


def test_expected_resolution_holds_for_the_first_frame() -> None:
    assert checked(Checks(Watched(None, 3, (48, 65))), 1, 2) == [Reason.FRAME_WRONG_GEOMETRY] * 2
    assert checked(Checks(Watched(None, 3, (48, 64))), 1, 2) == ["frame"] * 2


def test_gaps_in_the_count_are_lost_frames_and_a_count_that_begins_anew_is_none() -> None:
    gaps = Gaps()
    assert [gaps.lost(number) for number in (5, 6, 9, None, 10, 0, 1, 2**40, 2**40 + 2)] == [0, 0, 2, 0, 0, 0, 0, 0, 1]
    gaps.restart()
    assert gaps.lost(2**40 + 9) == 0


def test_silence_begins_at_its_limit() -> None:
    silence = Silence(2.0, 10.0)
    assert [bool(silence.lasts_s(now)) for now in (11.9, 12.0)] == [False, True]
    silence.heard(12.5)
    assert [bool(silence.lasts_s(now)) for now in (14.0, 14.5)] == [False, True]
    assert not Silence(None, 0.0).lasts_s(1e9)


def test_state_follows_what_happens_and_each_change_is_told_once() -> None:
    told: list[CameraState] = []
    health = Health("cam", Watched(1.0, 3, None), told.append, 0.0)

    def shot(sequence: int, at: float, reason: Reason | None = None) -> None:
        one: Shot = Fault(reason, "why", sequence) if reason else Frame(numbered(1), "", "cam", sequence)
        health.shot(one, at)
        health.look(at)

    health.up(1.0)
    shot(0, 1.5)
    shot(1, 2.0, Reason.FRAME_LOST)
    health.look(2.6)
    shot(2, 2.7)
    shot(3, 2.8, Reason.FRAME_FROZEN)
    shot(4, 2.9, Reason.FRAME_FROZEN)
    shot(7, 3.0)
    health.down("killed", 3.1)
    health.look(9.0)  # what is down is not silent as well
    health.up(9.5, 1)
    shot(50, 9.6)  # another process counts anew
    health.finished(9.7)
    assert [(one.state, one.since) for one in told] == [
        ("up", 1.0), ("silent", 2.6), ("up", 2.7), ("frozen", 2.8), ("frozen", 2.8), ("up", 3.0), ("down", 3.1),
        ("up", 9.5), ("finished", 9.7),
    ]  # fmt: skip
    assert "1.1 s" in told[1].message
    assert (told[-1].lost, told[-1].restarts) == (2, 1)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"frozen_after": 1}, "2 or more"),
        ({"frozen_after": -1}, "frozen_after"),
        ({"silence_s": 0}, "silence_s"),
        ({"expect": [0, 5]}, "expect"),
        ({"expect": "640x480"}, "expect"),
    ],
)
def test_senseless_watches_are_refused(option: dict[str, object], said: str, recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        camera_of("simulator", recipe_file, **option)
