"""Every output of the registry keeps one contract, each with what really stands at its other end."""

import contextlib
import itertools
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from inspection.config import ConfigInvalid
from inspection.recipe import OutputConfig
from inspection.verdict import Outcome
from serve.outputs import (
    OUTPUTS,
    Output,
    OutputFault,
    OutputUnavailable,
    Signal,
    make_output,
    open_output,
)
from tests.conftest import ROOT
from tests.serve.output_examples import LOST, PASSED, REVIEWED, STATE, TIMEOUT_MS, config_of
from tests.serve.output_registry import receiver_of
from tests.serve.serving import wait_for

REQUIRED: dict[str, dict[str, Any]] = {
    "gpio": {"path": "lines"},
    "modbus": {"host": "plc"},
    "mqtt": {"host": "broker"},
    "opcua": {"endpoint": "opc.tcp://127.0.0.1:4840"},
    "webhook": {"url": "http://plant/units"},
}
MISSPELT = {"gpio": "pth", "modbus": "hots", "mqtt": "hst", "opcua": "endpont", "webhook": "ulr"}


class Link:
    """An open output and its receiver."""

    def __init__(self, kind: str, folder: Path, port: int) -> None:
        self.kind, self.receiver = kind, receiver_of(kind, folder, port)
        self._numbers = itertools.count(65_534)  # one register is soon too small
        self.receiver.start()
        self.recipe_file = folder / "recipe.yaml"
        self.output: Output = open_output(config_of(kind, **self.receiver.options), self.recipe_file, STATE)
        self.receiver.attach()

    def arrives(self, signal: Signal) -> None:
        """Sends it, and waits for it where an acknowledgement comes from a broker and not from who listens to it."""
        signal = replace(signal, number=next(self._numbers))
        self.output.send(signal)
        expected = {key: value for key, value in signal.fields().items() if key in self.receiver.carries}
        wait_for(lambda: self.receiver.unit() == expected)
        wait_for(lambda: self.receiver.permits() == (signal.outcome is Outcome.PASS))

    def faults(self, signal: Signal) -> str:
        """Sends it in vain, in time."""
        signal, start = replace(signal, number=next(self._numbers)), time.monotonic()
        with pytest.raises(OutputFault, match="'gate'") as raised:
            self.output.send(signal)
        assert time.monotonic() - start < TIMEOUT_MS / 1000 + 5
        return str(raised.value)


@pytest.fixture(scope="module", params=OUTPUTS)
def link(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Link]:
    """One for all tests of a kind: to start them costs more than to use them."""
    made = Link(request.param, tmp_path_factory.mktemp(request.param), free_port())
    yield made
    made.output.close()
    made.receiver.end()


def test_signals_arrive_as_they_are_and_only_a_pass_permits(link: Link) -> None:
    link.output.show(STATE)
    wait_for(link.receiver.running)
    for signal in (PASSED, REVIEWED, PASSED, LOST, PASSED, replace(REVIEWED, score=float("nan")), PASSED):
        link.arrives(signal)


def test_a_station_that_does_not_run_permits_nothing(link: Link) -> None:
    for state in ("stopped", "failed", "changeover", "something new"):
        link.output.show(STATE)
        link.arrives(PASSED)
        link.output.show(replace(STATE, state=state))
        wait_for(lambda: not link.receiver.permits() and not link.receiver.running())
    link.output.show(STATE)


def test_without_an_acknowledgement_send_fails_and_works_again_later(link: Link) -> None:
    link.arrives(PASSED)
    link.receiver.mute(True)
    link.faults(PASSED)
    if link.kind in ("gpio", "modbus", "opcua"):  # where the output itself holds the permit
        wait_for(lambda: not link.receiver.permits())
    link.receiver.mute(False)
    link.arrives(PASSED)


def test_a_receiver_that_is_gone_is_a_fault_and_is_found_again(link: Link) -> None:
    link.arrives(LOST)
    link.receiver.stop()
    link.faults(PASSED)
    link.receiver.start()
    link.receiver.attach()
    link.arrives(REVIEWED)
    link.arrives(PASSED)


def test_closed_it_permits_nothing_and_opens_again(link: Link) -> None:
    link.arrives(PASSED)
    link.output.close()
    wait_for(lambda: not link.receiver.permits() and not link.receiver.running())
    link.output.close()
    link.faults(PASSED)
    with pytest.raises(OutputFault):
        link.output.show(STATE)
    link.output.open(STATE)
    link.receiver.attach()
    link.arrives(PASSED)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_nothing_at_the_other_end_is_said_when_it_is_opened(
    kind: str, tmp_path: Path, recipe_file: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    nowhere: dict[str, dict[str, Any]] = {
        "gpio": {"path": "nowhere"},
        "modbus": {"host": "127.0.0.1", "port": port},
        "mqtt": {"host": "127.0.0.1", "port": port},
        "opcua": {"endpoint": f"opc.tcp://127.0.0.1:{port}/inspection"},
        "webhook": {"url": f"http://127.0.0.1:{port}/"},
    }
    with socket.create_server(("127.0.0.1", port)) if kind == "opcua" else contextlib.nullcontext():
        output = make_output(config_of(kind, **nowhere[kind]), recipe_file)
        with pytest.raises(OutputUnavailable, match="'gate'") as raised:
            output.open(STATE)
        assert str(tmp_path / "nowhere" if kind == "gpio" else port) in str(raised.value)
        output.close()


@pytest.mark.parametrize("kind", OUTPUTS)
def test_unknown_option_names_recipe_and_nearest_key(kind: str, recipe_file: Path) -> None:
    [right] = REQUIRED[kind]
    with pytest.raises(ConfigInvalid) as raised:
        make_output(config_of(kind, **REQUIRED[kind], **{MISSPELT[kind]: 1}), recipe_file)
    assert str(recipe_file) in str(raised.value)
    assert f"{MISSPELT[kind]!r}; did you mean {right!r}?" in str(raised.value)


@pytest.mark.parametrize("timeout", [0, -1, 1e9, "soon"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_senseless_timeout_is_refused(kind: str, timeout: object, recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="timeout_ms"):
        make_output(config_of(kind, **REQUIRED[kind], timeout_ms=timeout), recipe_file)


def test_unknown_kind_says_which_there_are(recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no kind 'profinet'; choose one of gpio, modbus, mqtt, opcua, webhook"):
        make_output(config_of("profinet"), recipe_file)


def test_the_page_shows_one_of_each_kind_as_it_can_be_configured(recipe_file: Path) -> None:
    page = (ROOT / "serve" / "outputs" / "README.md").read_text()
    shown = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    for keys in shown:
        make_output(OutputConfig.model_validate(keys), recipe_file)
    assert sorted(keys["kind"] for keys in shown) == sorted(OUTPUTS)
    for kind, output in OUTPUTS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}`"))
        assert output.Options.model_fields.keys() <= {"timeout_ms"} | set(re.findall(r"`(\w+)`", row))
