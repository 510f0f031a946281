"""What is special to triggers that look at a PLC: it dies, hangs and comes back; edges, words, refusals."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from inspection.config import ConfigInvalid
from serve.triggers import TriggerUnavailable
from tests.serve.serving import wait_for
from tests.serve.triggers.plc import BIT, COUNTER, ENCODER, SIZE, Plc
from tests.serve.triggers.reading import reading, trigger_of

OPTIONS: dict[str, dict[str, Any]] = {
    "encoder": {"address": ENCODER, "counts_per_unit": 100},
    "modbus_bit": {"address": BIT, "pulse_ms": 60_000},
}


@pytest.fixture(autouse=True)
def at_rest(controller: Plc) -> None:
    """Each test finds a PLC on which all is zero."""
    controller.zero()


def come_by(kind: str, controller: Plc) -> None:
    """Make the first unit come by once somebody looks."""
    controller.looked_at()
    if kind == "encoder":
        controller.encoder(100)
    else:
        controller.bit(True)


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_plc_that_dies_is_a_fault_and_is_found_again(kind: str, controller: Plc, recipe_file: Path) -> None:
    with closing(trigger_of(kind, recipe_file, **controller.where, **OPTIONS[kind])) as trigger:
        with reading(trigger) as reader:
            come_by(kind, controller)
            reader.until(1)
            controller.kill()
            assert f"127.0.0.1:{controller.port}" in reader.faults()
        with reading(trigger) as reader:
            assert "cannot be connected to" in reader.faults()
        controller.start()
        with reading(trigger) as reader:
            come_by(kind, controller)
            assert reader.until(1)[0].count == (2 if kind == "encoder" else None)


def test_a_plc_that_hangs_is_a_fault_and_is_found_again(controller: Plc, recipe_file: Path) -> None:
    options = controller.where | OPTIONS["encoder"] | {"timeout_ms": 100}
    with closing(trigger_of("encoder", recipe_file, **options)) as trigger:
        with reading(trigger) as reader:
            controller.looked_at()
            with controller.hanging():
                assert f"input register {ENCODER}" in reader.faults()
        with reading(trigger) as reader:
            come_by("encoder", controller)
            reader.until(1)


def test_each_rising_edge_of_a_coil_is_a_unit(controller: Plc, recipe_file: Path) -> None:
    options = controller.where | OPTIONS["modbus_bit"] | {"bit": "coil", "poll_ms": 1}
    with closing(trigger_of("modbus_bit", recipe_file, **options)) as trigger, reading(trigger) as reader:
        controller.looked_at()
        for number in (1, 2, 3):
            controller.bit(True)
            reader.until(number)
            controller.bit(False)
            controller.looked_at()
        assert len(reader.units) == 3


def test_units_between_two_looks_are_a_gap_in_the_count(controller: Plc, recipe_file: Path) -> None:
    options = controller.where | {"address": BIT, "counter": COUNTER}
    with closing(trigger_of("modbus_bit", recipe_file, **options)) as trigger, reading(trigger) as reader:
        controller.looked_at()
        controller.counter(1)
        reader.until(1)
        controller.counter(4)
        assert [unit.count for unit in reader.until(2)] == [1, 4]
        controller.counter(0)
        assert "from 4 to 0" in reader.faults()


def test_a_look_later_than_a_pulse_lasts_is_a_fault(controller: Plc, recipe_file: Path) -> None:
    options = controller.where | {"address": BIT, "pulse_ms": 50, "timeout_ms": 800}
    with closing(trigger_of("modbus_bit", recipe_file, **options)) as trigger, reading(trigger) as reader:
        with controller.hanging():
            late = time.monotonic() + 0.2
            wait_for(lambda: time.monotonic() > late)
        assert "its pulses last 50 ms" in reader.faults()


@pytest.mark.parametrize("low_word_first", [False, True])
def test_an_encoder_of_two_words_opens_all_that_lie_between_two_looks(
    low_word_first: bool, controller: Plc, recipe_file: Path
) -> None:
    controller.encoder(0x1_FFF0, low_word_first=low_word_first)
    options = controller.where | OPTIONS["encoder"] | {"low_word_first": low_word_first, "register_kind": "holding"}
    with closing(trigger_of("encoder", recipe_file, **options)) as trigger, reading(trigger) as reader:
        controller.looked_at()
        before = time.monotonic()
        controller.encoder(0x1_FFF0 + 300, low_word_first=low_word_first)
        units = reader.until(3)
        assert [unit.count for unit in units] == [1, 2, 3]
        times = [unit.at for unit in units]
        assert times == sorted(set(times))
        assert times[-1] < time.monotonic() and times[0] > before - 1


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("encoder", {"address": SIZE}, "it refuses input register 64 (illegal data address)"),
        ("modbus_bit", {"address": 16 * SIZE}, "it refuses discrete_input 1024 (illegal data address)"),
        ("encoder", {"host": "x" * 70}, "cannot be connected to"),
    ],
)
def test_what_the_plc_does_not_have_is_said_when_it_is_opened(
    kind: str, more: dict[str, Any], said: str, controller: Plc, recipe_file: Path
) -> None:
    with pytest.raises(TriggerUnavailable) as raised:
        trigger_of(kind, recipe_file, **(controller.where | OPTIONS[kind] | more))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("modbus_bit", {"address": BIT}, "give a counter register, or pulse_ms"),
        ("modbus_bit", {"address": BIT, "pulse_ms": 5, "poll_ms": 5}, "pulse_ms 5 is too short for poll_ms 5"),
        ("modbus_bit", {"address": -1, "pulse_ms": 50}, "address"),
        ("encoder", {"address": 0, "counts_per_unit": 5000, "bits": 16}, "or use 32 bits"),
        ("encoder", {"address": 0, "counts_per_unit": 0}, "counts_per_unit"),
        ("encoder", {"address": 0, "counts_per_unit": 9, "poll_ms": float("nan")}, "poll_ms"),
    ],
)
def test_senseless_options_are_refused_before_anything_is_connected(
    kind: str, options: dict[str, Any], said: str, recipe_file: Path, free_port: Callable[[], int]
) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        trigger_of(kind, recipe_file, host="127.0.0.1", port=free_port(), **options)
