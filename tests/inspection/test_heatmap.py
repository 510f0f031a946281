"""Heatmaps as pictures and as bytes."""

import numpy as np
import pytest

from inspection.heatmap import HeatmapUnreadable, decode_heatmap, encode_heatmap, enlarge, overlay
from inspection.verdict import Limits

LIMITS = Limits(review_limit=10.0, reject_limit=12.0)


def test_every_bit_of_a_map_is_kept() -> None:
    heatmap = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)

    data = encode_heatmap(heatmap)

    assert np.array_equal(decode_heatmap(data, "map"), heatmap)
    assert encode_heatmap(heatmap.copy()) == data


@pytest.mark.parametrize("data", [b"", b"text", encode_heatmap(np.zeros((2, 2), np.float32))[:-3]])
def test_what_is_no_map_is_refused(data: bytes) -> None:
    with pytest.raises(HeatmapUnreadable, match=r"map\.npy"):
        decode_heatmap(data, "map.npy")


def test_the_place_of_an_anomaly_stays_where_it_is() -> None:
    heatmap = np.zeros((40, 30), np.float32)
    heatmap[10, 22] = 1

    large = enlarge(heatmap, 640, 480)

    row, column = np.unravel_index(large.argmax(), large.shape)
    assert abs(row - 10.5 * 16) <= 8
    assert abs(column - 22.5 * 16) <= 8


def test_a_unit_that_passes_well_shows_no_colour_and_a_defect_does() -> None:
    frame = np.full((80, 80, 3), 128, np.uint8)
    calm = np.full((10, 10), 5.5, np.float32)
    alarming = calm.copy()
    alarming[4:6, 4:6] = 30

    assert np.array_equal(overlay(frame, calm, LIMITS), frame)
    changed = np.abs(overlay(frame, alarming, LIMITS).astype(int) - 128).max(axis=2) > 20
    assert changed[40, 40]
    assert not changed[:16].any()
