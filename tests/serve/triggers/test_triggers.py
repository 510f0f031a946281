"""Every trigger of the registry keeps one contract."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

import serve.triggers
from inspection.config import ConfigInvalid, validate
from inspection.recipe import TriggerConfig
from serve.triggers import TRIGGERS, Trigger, TriggerUnavailable
from serve.triggers.software import TriggerRefused
from tests.serve.serving import wait_for
from tests.serve.triggers.plc import BIT, COUNTER, ENCODER, Plc
from tests.serve.triggers.reading import reading, trigger_of


@dataclass(frozen=True)
class Kind:
    """How to have a trigger of a kind: options that work, how the line makes the n-th unit come by, an option
    misspelt, and options whose source is not there, named so."""

    options: dict[str, Any]
    unit: Callable[[Trigger, int], None]
    misspelt: tuple[str, str]
    missing: tuple[dict[str, Any], str] | None = None


@pytest.fixture
def kinds(controller: Plc, free_port: Callable[[], int]) -> dict[str, Kind]:
    """One for every kind in the registry."""
    encoder = {**controller.where, "address": ENCODER, "counts_per_unit": 100}
    bit = {**controller.where, "address": BIT, "counter": COUNTER}
    gone = {"port": free_port()}
    controller.encoder(0)
    controller.counter(0)

    def fire(trigger: Trigger, number: int) -> None:
        def accepted() -> bool:
            try:
                trigger.fire(count=number)  # type: ignore[attr-defined]
            except TriggerRefused:
                return False  # nobody has begun to read yet
            return True

        wait_for(accepted)

    def turn(_: Trigger, number: int) -> None:
        controller.looked_at()
        controller.encoder(100 * number)

    def count(_: Trigger, number: int) -> None:
        controller.looked_at()
        controller.counter(number)

    def nothing(_: Trigger, __: int) -> None:
        """A timer needs nobody."""

    absent = f"127.0.0.1:{gone['port']}"
    return {
        "encoder": Kind(encoder, turn, ("counts_per_unt", "counts_per_unit"), (encoder | gone, absent)),
        "modbus_bit": Kind(bit, count, ("pol_ms", "poll_ms"), (bit | gone, absent)),
        "software": Kind({"path": "line.sock"}, fire, ("pth", "path"), ({"path": "no/line.sock"}, "no/line.sock")),
        "timer": Kind({"rate_hz": 20}, nothing, ("rate", "rate_hz")),
    }


@pytest.fixture(params=TRIGGERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_unit_comes_once_in_order_and_again_after_a_pause(
    kind: str, kinds: dict[str, Kind], recipe_file: Path
) -> None:
    one, began = kinds[kind], time.monotonic()
    units = []
    with closing(trigger_of(kind, recipe_file, **one.options)) as trigger:
        for numbers in ((1, 2, 3), (4, 5)):
            with reading(trigger) as reader:
                for done, number in enumerate(numbers, 1):
                    one.unit(trigger, number)
                    reader.until(done)
            assert reader.fault is None
            units += reader.units
    counts = [unit.count for unit in units]
    assert counts == list(range(1, len(units) + 1))
    assert all(before.at <= after.at for before, after in pairwise(units))
    assert began <= units[0].at and units[-1].at <= time.monotonic()


def test_stopped_while_nothing_comes_by_it_ends_and_closes_twice(
    kind: str, kinds: dict[str, Kind], recipe_file: Path
) -> None:
    slow = {"rate_hz": 0.001} if kind == "timer" else {}
    trigger = trigger_of(kind, recipe_file, **(kinds[kind].options | slow))
    with reading(trigger) as reader:
        stopped = time.monotonic()
        reader.stop.set()
        wait_for(lambda: reader.ended)
    assert time.monotonic() - stopped < 5  # a second, where the machine has nothing else to do
    assert reader.fault is None
    trigger.close()
    trigger.close()


def test_unknown_option_names_recipe_and_nearest_key(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    wrong, right = kinds[kind].misspelt
    with pytest.raises(ConfigInvalid) as raised:
        trigger_of(kind, recipe_file, **kinds[kind].options, **{wrong: 1})
    assert str(recipe_file) in str(raised.value)
    assert f"{wrong!r}; did you mean {right!r}?" in str(raised.value)


def test_what_is_not_there_is_named(kind: str, kinds: dict[str, Kind], recipe_file: Path) -> None:
    if kind == "timer":  # which needs nothing
        return
    missing = kinds[kind].missing
    assert missing is not None
    options, name = missing
    with pytest.raises(TriggerUnavailable, match=name):
        trigger_of(kind, recipe_file, **options)


def test_unknown_kind_says_which_there_are(recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no kind 'radar'; choose one of encoder, modbus_bit, software, timer"):
        trigger_of("radar", recipe_file)


def test_the_page_shows_each_kind_as_it_can_be_configured() -> None:
    page = (Path(serve.triggers.__file__).parent / "README.md").read_text(encoding="utf-8")
    examples = [TriggerConfig.model_validate(one) for one in yaml.safe_load(page.split("```")[1].removeprefix("yaml"))]
    assert {example.kind for example in examples} == TRIGGERS.keys()
    for example in examples:
        validate(example.options, TRIGGERS[example.kind].Options, example.kind)
    for kind in TRIGGERS.values():
        for name in kind.Options.model_fields:
            assert f"`{name}`" in page, name


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "fast"])
def test_senseless_rate_is_refused(rate: object, recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="rate_hz"):
        trigger_of("timer", recipe_file, rate_hz=rate)


def test_timer_does_not_drift_however_late_it_is_asked_and_ends(recipe_file: Path) -> None:
    units = trigger_of("timer", recipe_file, rate_hz=100, units=20).units(Event())
    first = next(units)
    wait_for(lambda: time.monotonic() > first.at + 0.1)  # ten units late
    times = [first.at, *(unit.at for unit in units)]
    assert times == pytest.approx([first.at + number / 100 for number in range(20)])
