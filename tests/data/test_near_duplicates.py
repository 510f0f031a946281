"""Copies of a picture are found again, pictures of other units of the product are not taken for copies."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import near_duplicates
from data.near_duplicates import MOST_BITS, Fingerprint, fingerprint, near_duplicate_groups
from data.simulator.products import render
from inspection.frames import Pixels

CHEQUERED = np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 200
SPREAD = 0x9E3779B97F4A7C15 & 0xFFFFFFFFFF  # makes neighbouring numbers differ in many bits


@given(st.lists(st.integers(0, 2**20 - 1), min_size=1, max_size=40))
def test_groups_are_the_connected_parts_of_what_lies_near(numbers: list[int]) -> None:
    images = [Fingerprint(np.array([0, (number + 1) * SPREAD, 0, 0], np.uint64), CHEQUERED) for number in numbers]
    groups = near_duplicate_groups(images)

    wanted = list(range(len(numbers)))  # the textbook's way: join again and again
    for _ in numbers:
        for one, first in enumerate(images):
            for other, second in enumerate(images):
                if np.bitwise_count(first.bits ^ second.bits).sum() <= MOST_BITS:
                    wanted[one] = wanted[other] = min(wanted[one], wanted[other])
    assert [[a == b for b in groups] for a in groups] == [[a == b for b in wanted] for a in wanted]


def test_images_are_compared_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "_BLOCK", 2)
    looks = [fingerprint(render("tablet", seed).frame) for seed in (1, 2, 3, 1, 4, 2, 1)]

    groups = near_duplicate_groups(looks)
    assert [int(np.flatnonzero(groups == group)[0]) for group in groups] == [0, 1, 2, 0, 4, 1, 0]


def test_images_without_any_detail_are_no_near_duplicates() -> None:
    """A black frame says nothing about what it shows."""
    black = fingerprint(np.zeros((64, 64, 3), np.uint8))

    assert len(set(near_duplicate_groups([black, black]))) == 2


def _saved_as_jpeg(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_COLOR), dtype=np.uint8)


def _half_the_size(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _brighter(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1.1), dtype=np.uint8)


@pytest.mark.parametrize("product", ["tablet", "vial"])
def test_copies_of_a_unit_are_its_near_duplicates_and_other_units_are_not(product: str) -> None:
    units = [render(product, seed).frame for seed in range(40)]
    copies = [change(units[0]) for change in (_saved_as_jpeg, _half_the_size, _brighter)]

    groups = near_duplicate_groups([fingerprint(pixels) for pixels in (*units, *copies)])
    assert {int(group) for group in groups[40:]} == {int(groups[0])}
    assert len(set(groups)) == 40
