"""Painted defects: visible, marked where they are, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.simulator import render
from models import synthetic
from models.synthetic import VISIBLE, paint_defects, vary

TABLET = render("tablet", 1, size=(160, 160)).frame
OTHER = render("tablet", 2, size=(160, 160)).frame


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(32, 120), width=st.integers(32, 120))
@settings(max_examples=80, deadline=None)
def test_the_mask_marks_what_was_changed_and_nothing_else(seed: int, height: int, width: int) -> None:
    good, donor = TABLET[:height, :width], OTHER[:height, :width]

    painted, defect = paint_defects(np.random.default_rng(seed), good, donor, None)

    assert painted.shape == good.shape and painted.dtype == np.uint8
    changed = np.abs(painted.astype(int) - good.astype(int)).max(axis=2)
    assert defect.any() or np.array_equal(painted, good)  # eight tries, all too faint
    assert (changed[defect] > VISIBLE - 1).all()
    assert (changed[~defect] <= VISIBLE + 1).all()


def test_the_same_seed_paints_the_same() -> None:
    one, two = (paint_defects(np.random.default_rng(7), TABLET, OTHER, None) for _ in range(2))

    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


def test_most_defects_touch_the_product() -> None:
    product = np.zeros(TABLET.shape[:2], dtype=bool)
    product[20:60, 100:140] = True

    touched = [
        (paint_defects(np.random.default_rng(seed), TABLET, OTHER, product)[1] & product).any() for seed in range(60)
    ]

    assert np.mean(touched) > 0.8


@pytest.mark.parametrize("draw", synthetic._SHAPES)
@pytest.mark.parametrize("fill", synthetic._FILLS)
def test_every_shape_can_be_filled_in_every_way(draw: object, fill: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "_SHAPES", [draw] * 4)
    monkeypatch.setattr(synthetic, "_FILLS", [fill] * 7)

    visible = [paint_defects(np.random.default_rng(seed), TABLET, OTHER, None)[1].any() for seed in range(12)]

    assert np.mean(visible) > 0.7


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_varied_unit_is_still_the_same_unit(seed: int) -> None:
    varied = vary(np.random.default_rng(seed), TABLET)

    assert varied.shape == TABLET.shape and varied.dtype == np.uint8
    shifts = [np.roll(varied, (dy, dx), (0, 1))[8:-8, 8:-8] for dy in range(-3, 4) for dx in range(-3, 4)]
    nearest = min(np.abs(shift.astype(int) - TABLET[8:-8, 8:-8].astype(int)).mean() for shift in shifts)
    assert nearest < 18
