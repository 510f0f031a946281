"""Copies of a picture are found again, pictures of other units of the product are not taken for copies."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.near_duplicates import near_duplicate_groups, perceptual_hash
from data.simulator.products import render
from inspection.frames import Pixels


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.integers(0, 3))
def test_groups_are_the_connected_parts_of_what_lies_near(numbers: list[int], most_bits: int) -> None:
    hashes = np.zeros((len(numbers), 4), dtype=np.uint64)
    hashes[:, 1] = numbers
    groups = near_duplicate_groups(hashes, most_bits)

    wanted = list(range(len(numbers)))  # the textbook's way: join again and again
    for _ in numbers:
        for one, first in enumerate(numbers):
            for other, second in enumerate(numbers):
                if (first ^ second).bit_count() <= most_bits:
                    wanted[one] = wanted[other] = min(wanted[one], wanted[other])
    assert [[a == b for b in groups] for a in groups] == [[a == b for b in wanted] for a in wanted]


def _saved_as_jpeg(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", pixels)[1], cv2.IMREAD_COLOR), dtype=np.uint8)


def _half_the_size(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _brighter(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=1.1), dtype=np.uint8)


@pytest.mark.parametrize("product", ["tablet", "vial"])
def test_copies_of_a_unit_are_its_near_duplicates_and_other_units_are_not(product: str) -> None:
    units = [render(product, seed).frame for seed in range(12)]
    copies = [change(units[0]) for change in (_saved_as_jpeg, _half_the_size, _brighter)]

    groups = near_duplicate_groups(np.array([perceptual_hash(pixels) for pixels in (*units, *copies)]))
    assert {int(group) for group in groups[12:]} == {int(groups[0])}
    assert len(set(groups)) == 12
