"""The example of a good unit: the most similar one, whatever the defect looks like, and never a doubtful one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.archive import Archive
from inspection.frames import encode_png, encode_thumbnail
from inspection.jpegxl import encode_jpegxl
from inspection.nearest_normal import SIDE, SmallPictures, marked_cells, nearest, normal_frames, small_grey
from inspection.records import Draft
from inspection.reviews import Decision, add_review
from inspection.verdict import Outcome

Fill = Callable[[int], Path]
NOTHING = np.zeros((SIDE, SIDE), dtype=bool)


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 200, (count, SIDE, SIDE)).astype(np.uint8)


@given(st.integers(0, 9), st.integers(0, 2**32 - 1), st.integers(-15, 50))
@settings(deadline=None, max_examples=40)
def test_it_is_the_same_picture_with_a_defect_in_it_and_in_another_light(place: int, seed: int, light: int) -> None:
    candidates = pictures(10, seed)
    own, marked = candidates[place].astype(int) + light, NOTHING.copy()
    marked[10:40, 20:50] = True
    own[marked] = 255
    found = nearest(own.astype(np.uint8), marked, list(candidates))
    assert found is not None
    assert found[0] == place
    assert found[1] < 1e-3


def test_a_defect_that_is_left_out_does_not_choose() -> None:
    plain, spotted = np.full((SIDE, SIDE), 100, np.uint8), np.full((SIDE, SIDE), 100, np.uint8)
    plain[0, 0] = 101
    spotted[30:34, 30:34], spotted[5, 5] = 10, 140
    own = plain.copy()
    own[29:35, 29:35] = 5
    marked = NOTHING.copy()
    marked[27:37, 27:37] = True
    assert nearest(own, NOTHING, [spotted, plain])[0] == 0  # type: ignore[index]
    assert nearest(own, marked, [spotted, plain])[0] == 1  # type: ignore[index]


def test_where_everything_is_marked_everything_is_compared() -> None:
    candidates = list(pictures(3, 1))
    found = nearest(candidates[2], ~NOTHING, candidates)
    assert found == (2, 0.0)
    assert nearest(candidates[0], NOTHING, []) is None


def test_cells_that_the_heatmap_marks() -> None:
    heatmap = np.zeros((28, 20), np.float32)
    heatmap[7, 5] = 3.0
    marked = marked_cells(heatmap, 1.0)
    assert marked[round(7.5 / 28 * SIDE), round(5.5 / 20 * SIDE)]
    assert 0 < marked.mean() < 0.03
    assert not marked_cells(heatmap, 100.0).any()
    assert not marked_cells(None, 1.0).any()


@pytest.mark.parametrize("encode", [encode_png, lambda pixels: encode_thumbnail(pixels, 200), encode_jpegxl])
def test_every_kind_of_kept_image_is_read(encode: Callable[[np.ndarray], bytes]) -> None:
    pixels = np.zeros((120, 90, 3), np.uint8)
    pixels[60:] = 200
    small = small_grey(encode(pixels))
    assert small is not None
    assert (small[:28] < 20).all() and (small[36:] > 180).all()
    assert small_grey(b"no image") is None
    assert small_grey(b"") is None


def test_small_pictures_are_bounded_and_read_once_and_only_while_there_is_time() -> None:
    reads: list[str] = []

    def read(name: str) -> bytes | None:
        reads.append(name)
        return None if name == "gone" else encode_png(np.full((9, 9, 3), 7, np.uint8))

    small = SmallPictures(most=3)
    assert small.get(["a", "gone", "b"], read, lambda: True) == ["a", "b"]
    assert small.get(["a", "gone", "b", "c"], read, lambda: False) == ["a", "b"]
    assert reads == ["a", "gone", "b"]
    small.get(["c", "d"], read, lambda: True)
    assert len(small) == 3
    assert small.picture("a") is None


def test_good_units_of_the_product_and_camera_without_those_that_somebody_doubts(filled_archive: Fill) -> None:
    with Archive(filled_archive(28)) as archive:
        units = {entry.sequence: entry for entry in archive.latest(100, kind="unit")}
        passed = [number for number, entry in sorted(units.items()) if entry.outcome == Outcome.PASS]
        rejected = next(entry for entry in units.values() if entry.outcome != Outcome.PASS)
        before = normal_frames(archive, rejected, 0)
        assert {one.sequence for one in before} == set(passed)
        assert [one.sequence for one in before] == sorted(passed, reverse=True)
        add_review(archive, f"station-1/{passed[0]}", ("crack",), "Ada")
        add_review(archive, f"station-1/{passed[1]}", (), "Ada", "", Decision.CANNOT_TELL)
        add_review(archive, f"station-1/{passed[2]}", (), "Ada")
        archive.append(
            Draft("event", unit=units[passed[3]].unit, reason="not_delivered",
                  details={"corrects": f"station-1/{passed[3]}", "outcome": "REJECT"}), "station-1",
        )  # fmt: skip
        after = {one.sequence for one in normal_frames(archive, rejected, 0)}
        assert after == set(passed) - {passed[0], passed[1], passed[3]}
        assert normal_frames(archive, rejected, 5) == []
        own = units[passed[4]]
        assert own.sequence not in {one.sequence for one in normal_frames(archive, own, 0)}
