"""The reject rate in blocks: every unit is counted once, limits hold what they promise, drift is told from chance."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from inspection.reject_trend import (
    BLOCK_S,
    BLOCK_UNITS,
    GAP_S,
    KEPT_BLOCKS,
    KEPT_S,
    RUN,
    TAIL,
    RejectTrend,
    UnitAt,
    rate_limits,
)


@given(st.integers(1, 400), st.floats(0, 1))
def test_a_process_with_the_mean_rate_leaves_its_limits_but_once_in_740_times_on_each_side(
    units: int, mean: float
) -> None:
    lower, upper = (round(share * units) for share in rate_limits(units, mean))
    assert 0 <= lower <= upper <= units
    assert binom.cdf(lower - 1, units, mean) <= TAIL + 1e-12
    assert binom.sf(upper, units, mean) <= TAIL + 1e-12
    # and the limits are the narrowest ones of which that is true
    assert binom.cdf(lower, units, mean) > TAIL - 1e-12
    assert upper == 0 or binom.sf(upper - 1, units, mean) > TAIL - 1e-12


UNITS = st.lists(
    st.tuples(st.floats(0, 2000), st.sampled_from(["B-1", "B-2", None]), st.booleans()), min_size=1, max_size=300
)


@given(UNITS)
@settings(max_examples=50)
def test_every_unit_is_in_one_block_of_its_batch(steps: list[tuple[float, str | None, bool]]) -> None:
    at, units = 1e9, []
    for step_s, batch, passed in steps:
        at += step_s / 100
        units.append(UnitAt(at, batch, passed))
    blocks = [one.block for one in RejectTrend(units).drawn()]
    if len(blocks) < KEPT_BLOCKS:
        assert sum(block.units for block in blocks) == len(units)
        assert sum(block.stopped for block in blocks) == sum(not unit.passed for unit in units)
    assert all(one.ended <= other.began for one, other in pairwise(blocks))
    for block in blocks:
        inside = [unit for unit in units if block.began <= unit.at <= block.ended and unit.batch == block.batch]
        assert block.units <= len(inside)


def minutes(rates: list[float], batch: str = "B-1", per_minute: int = 120, seed: int = 1) -> list[UnitAt]:
    """Units of whole minutes, of which each has its own rate."""
    random = np.random.default_rng(seed)
    return [
        UnitAt(1e9 + 60 * minute + 60 * number / per_minute, batch, bool(random.random() >= rate))
        for minute, rate in enumerate(rates) for number in range(per_minute)
    ]  # fmt: skip


def test_a_steady_process_gives_no_signal_and_one_that_jumps_gives_one() -> None:
    assert RejectTrend(minutes([0.05] * 60)).signal() == ("", 0.0)
    signal, since = RejectTrend(minutes([0.05] * 60 + [0.25] * 3)).signal()
    assert signal == "above"
    assert since == pytest.approx(1e9 + 60 * 60, abs=1)


def test_too_few_rejects_are_a_signal_too() -> None:
    assert RejectTrend(minutes([0.2] * 60 + [0.0])).signal()[0] == "below"


def test_a_small_shift_shows_as_a_run_above_the_mean() -> None:
    steady, shifted = (
        [UnitAt(1e9 + 60 * minute + number / 2, "B-1", number >= stopped) for minute in span for number in range(120)]
        for span, stopped in ((range(30), 4), (range(30, 30 + RUN), 8))
    )
    assert RejectTrend(steady).signal() == ("", 0.0)
    assert RejectTrend(steady + shifted[:-120]).signal()[0] == ""
    signal, since = RejectTrend(steady + shifted).signal()
    assert signal == "run"
    assert since == pytest.approx(1e9 + 60 * 30, abs=1)


def test_the_first_block_of_a_batch_has_no_limits_yet_and_the_mean_is_the_batch_s_own() -> None:
    before = minutes([0.5] * 3, "B-1")
    later = [unit._replace(at=unit.at + 180, batch="B-2") for unit in minutes([0.02] * 2, "B-2")]
    drawn = RejectTrend(before + later[:120]).drawn()
    assert (drawn[-1].mean, drawn[-1].upper) == (None, None)
    drawn = RejectTrend(before + later).drawn()
    mean = drawn[-1].mean
    assert mean is not None
    assert mean < 0.1
    assert RejectTrend(before + later).signal() == ("", 0.0)


def test_blocks_end_by_units_and_time_and_a_pause_and_old_ones_are_forgotten() -> None:
    trend = RejectTrend(UnitAt(1e9 + number, "B", True) for number in range(2 * BLOCK_UNITS))
    first = trend.drawn()[0].block
    assert first.units == int(BLOCK_S)  # the units were enough before
    trend.add(UnitAt(1e9 + GAP_S + 200, "B", True))
    assert [one.block.units for one in trend.drawn()] == [60, 40, 1]
    trend.add(UnitAt(1e9 + KEPT_S + 5000, "B", False))
    assert [one.block.units for one in trend.drawn()] == [1]
    trend = RejectTrend(minutes([0.1] * (KEPT_BLOCKS + 30)))
    assert len(trend.drawn()) == KEPT_BLOCKS
