"""What is special to Modbus, OPC UA, a webhook and digital lines."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from inspection.config import ConfigInvalid
from serve.outputs import OutputFault, OutputUnavailable, make_output, open_output
from tests.serve.output_controllers import OpcUaClient, Plc
from tests.serve.output_examples import LOST, PASSED, REVIEWED, STATE, config_of, self_signed
from tests.serve.output_receivers import Lines, WebServer
from tests.serve.serving import wait_for


@pytest.fixture
def web(free_port: Callable[[], int]) -> Iterator[WebServer]:
    made = WebServer(free_port())
    made.start()
    yield made
    made.end()


def test_modbus_permit_never_stands_beside_another_units_number(plc: Plc, recipe_file: Path) -> None:
    seen: list[tuple[list[bool], int]] = []
    plc.on_coils = lambda: seen.append((plc.coils, plc.unit()["number"]))
    output = open_output(config_of("modbus", **plc.options), recipe_file, STATE)
    sent = [PASSED, replace(PASSED, number=2), replace(REVIEWED, number=3), replace(PASSED, number=4)]
    for signal in sent:
        output.send(signal)
    assert [number for coils, number in seen if coils[0]] == [1, 2, 4]
    assert [number for coils, number in seen if coils == [False, True]][-1] == 3
    output.close()


def test_modbus_echo_of_an_earlier_run_acknowledges_nothing(plc: Plc, recipe_file: Path) -> None:
    output = open_output(config_of("modbus", **plc.options), recipe_file, STATE)
    output.send(PASSED)
    plc.muted = True
    with pytest.raises(OutputFault, match="did not acknowledge"):
        output.send(PASSED)
    assert not plc.permits()
    plc.muted = False
    output.send(PASSED)
    assert plc.permits()
    output.close()


def test_modbus_permit_is_taken_back_at_any_moment_of_the_wait(plc: Plc, recipe_file: Path) -> None:
    # Time ran out now between two requests, now within one, which once hung for ever or left the permit.
    output = open_output(config_of("modbus", **plc.options, timeout_ms=400), recipe_file, STATE)
    plc.muted = True
    for number in range(1, 5):
        with pytest.raises(OutputFault, match="did not acknowledge"):
            output.send(replace(PASSED, number=number))
        assert not plc.permits()
        assert plc.unit()["number"] == number
    output.close()


def test_modbus_registers_tell_of_the_station(plc: Plc, recipe_file: Path) -> None:
    output = open_output(config_of("modbus", **plc.options), recipe_file, STATE)
    assert plc.registers[3:] == [2, 1, 1, 0, 3, 0, 2, 0, 0, 0, 1]
    output.show(replace(STATE, state="changeover", alarms=(), counts={"units": 70_000}))
    assert plc.registers[3:8] == [5, 2, 0, 1, 4464]
    output.close()
    assert plc.registers[3] == 0
    assert plc.coils == [False, True]


def test_modbus_registers_that_are_not_there_are_said(plc: Plc, recipe_file: Path) -> None:
    with pytest.raises(OutputUnavailable, match="refused"):
        open_output(config_of("modbus", host="127.0.0.1", port=plc.options["port"], registers=5000), recipe_file, STATE)


@pytest.mark.parametrize("status", [301, 307, 404, 500])
def test_webhook_takes_only_2xx_from_the_address_in_the_recipe(status: int, web: WebServer, recipe_file: Path) -> None:
    output = open_output(config_of("webhook", **web.options), recipe_file, STATE)
    web.status, web.headers = status, {"Location": "/elsewhere"}
    with pytest.raises(OutputFault, match=f"answered {status}"):
        output.send(PASSED)
    assert {path for path, _ in web.requests} == {"/units"}
    web.status, web.headers = 204, {}
    output.send(PASSED)
    output.close()


def test_webhook_proves_itself_with_a_token_from_a_file(web: WebServer, tmp_path: Path, recipe_file: Path) -> None:
    config = config_of("webhook", **web.options, token_file="token")
    with pytest.raises(OutputUnavailable, match="token cannot be read"):
        open_output(config, recipe_file, STATE)
    (tmp_path / "token").write_text("two\nlines")
    with pytest.raises(OutputUnavailable, match="one line"):
        open_output(config, recipe_file, STATE)
    (tmp_path / "token").write_text("s3cret\n")
    output = open_output(config, recipe_file, STATE)
    assert web.requests[-1][1]["Authorization"] == "Bearer s3cret"
    output.close()


def test_webhook_that_answers_drop_by_drop_is_too_late(recipe_file: Path) -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while not ended.wait(0.05):
                        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: 1\r\n"[:1])
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(OutputUnavailable, match="within 300 ms"):
            open_output(config_of("webhook", url=url, timeout_ms=300), recipe_file, STATE)
        ended.set()
        thread.join(10)


def test_gpio_pulse_falls_again(tmp_path: Path, recipe_file: Path) -> None:
    lines = Lines(tmp_path)
    output = open_output(config_of("gpio", **lines.options, pulse_ms=300), recipe_file, STATE)
    thread = threading.Thread(target=output.send, args=(PASSED,))
    thread.start()
    wait_for(lines.permits)
    thread.join(10)
    assert not lines.permits()
    output.send(LOST)
    assert not lines.permits()
    output.close()


def test_opcua_clients_prove_themselves_and_write_nothing_but_the_acknowledgement(
    tmp_path: Path, recipe_file: Path, free_port: Callable[[], int]
) -> None:
    certificate, key = self_signed(tmp_path)
    (tmp_path / "password").write_text("right")
    client = OpcUaClient(free_port())
    secured = {"certificate": certificate.name, "key": key.name, "username": "plc", "password_file": "password"}
    output = open_output(config_of("opcua", **client.options, **secured), recipe_file, STATE)

    async def refused(*, password: str | None, secure: bool) -> bool:
        intruder = Client(client.endpoint)
        await secure_with(intruder, password, secure)
        try:
            await intruder.connect()
        except (ua.UaError, ConnectionError, TimeoutError):
            return True
        await intruder.disconnect()
        return False

    async def secure_with(one: Client, password: str | None, secure: bool = True) -> None:
        if secure:
            await one.set_security(SecurityPolicyBasic256Sha256, certificate=str(certificate), private_key=str(key))
        if password is not None:
            one.set_user("plc")
            one.set_password(password)

    try:
        assert client.call(refused(password="wrong", secure=True))
        assert client.call(refused(password=None, secure=True))
        assert client.call(refused(password="right", secure=False))
        client.prepare = lambda one: secure_with(one, "right")
        client.attach()
        output.send(REVIEWED)
        for name, value in (("Pass", True), ("Outcome", "PASS"), ("Number", 99)):
            with pytest.raises(ua.UaError):
                client.call(client.node(name).write_value(value))
        assert client.call(client.node("Outcome").read_value()) == "REVIEW"
        assert client.call(client.node("CurrentState", "VisionStateMachine").read_value()).Text == "Operational"
    finally:
        output.close()
        client.end()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (
            "modbus",
            {"host": "plc", "acknowledge_register": 13},
            "acknowledge_register 13 lies in the registers 0",
        ),
        ("opcua", {"endpoint": "http://plant:4840"}, "opc.tcp://HOST:PORT/PATH"),
        ("opcua", {"certificate": "c.pem"}, "certificate and key go together"),
        ("opcua", {"username": "plc"}, "username and password_file"),
        ("webhook", {"url": "plant/units"}, "url"),
        ("webhook", {"url": "ftp://plant/units"}, "url"),
        ("gpio", {"path": "lines", "pulse_ms": 0}, "pulse_ms"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    kind: str, options: dict[str, Any], said: str, recipe_file: Path
) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        make_output(config_of(kind, **options), recipe_file)
