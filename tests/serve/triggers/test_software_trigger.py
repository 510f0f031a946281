"""Units that callers announce, in the process and over a local socket: what is malformed opens nothing and is told."""

import json
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from serve.triggers import Trigger, Triggered, TriggerFault, TriggerUnavailable
from serve.triggers.software import SoftwareTrigger, TriggerRefused
from tests.serve.serving import wait_for
from tests.serve.triggers.reading import reading, trigger_of

MALFORMED = [
    (b"", "nvalid JSON"),
    (b"vial 7", "nvalid JSON"),
    (b'{"unit": "v7"', "nvalid JSON"),
    (b'"v7"', "object"),
    (b"[" * 4000, "nvalid JSON"),
    (b'{"unit": "\xff"}', "nvalid JSON"),
    (b'{"unit": 7}', "unit: input should be a valid string, got 7"),
    (b'{"unit": ""}', "unit: string should have at least 1 character"),
    (b'{"unit": "a\\nb"}', "unit: string should match pattern"),
    (b'{"unit": "' + b"v" * 129 + b'"}', "unit: string should have at most 128 characters"),
    (b'{"nuit": "v7"}', "there is no key 'nuit'; did you mean 'unit'?"),
    (b'{"count": -1}', "count: input should be greater than or equal to 0, got -1"),
    (b'{"count": 1.5}', "count"),
    (b'{"count": ' + b"9" * 4000 + b"}", "count"),
    (b'{"unit": "' + b"v" * 4096 + b'"}', "more than 4096 bytes"),
]


def software(recipe_file: Path, **options: Any) -> SoftwareTrigger:
    trigger = trigger_of("software", recipe_file, **options)
    assert isinstance(trigger, SoftwareTrigger)
    return trigger


def waiting(trigger: Trigger) -> list[Triggered]:
    """The units that wait, as a station that is stopped takes them."""
    stop = Event()
    stop.set()
    return list(trigger.units(stop))


@pytest.fixture
def stream(recipe_file: Path) -> Iterator[SoftwareTrigger]:
    """A trigger that listens at `line.sock`."""
    with closing(software(recipe_file, path="line.sock")) as trigger:
        yield trigger


def connected(recipe_file: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, kind)
    client.settimeout(20)
    client.connect(str(recipe_file.parent / "line.sock"))
    return client


def test_each_line_is_a_unit_and_acknowledged(stream: SoftwareTrigger, recipe_file: Path) -> None:
    before = time.monotonic()
    with connected(recipe_file) as client, client.makefile("rb") as answers:
        client.sendall(b'{"unit": "v7", "count": 7}\n{"unit": "v8"}\n{}\n')
        assert [json.loads(answers.readline()) for _ in range(3)] == [{"opened": True}] * 3
    units = waiting(stream)
    assert [(unit.unit, unit.count) for unit in units] == [("v7", 7), ("v8", None), (None, None)]
    assert all(before <= unit.at <= time.monotonic() for unit in units)


@pytest.mark.parametrize(("said", "why"), MALFORMED)
def test_a_malformed_line_is_answered_and_opens_nothing(
    said: bytes, why: str, stream: SoftwareTrigger, recipe_file: Path
) -> None:
    with connected(recipe_file) as client, client.makefile("rb") as answers:
        client.sendall(said + b"\n")
        answer = json.loads(answers.readline())
    assert (answer["opened"], answer["code"]) == (False, "trigger_refused")
    assert "no unit was opened" in answer["message"] and why in answer["message"]
    assert waiting(stream) == []


def test_a_line_cut_short_opens_nothing_and_those_before_it_do(stream: SoftwareTrigger, recipe_file: Path) -> None:
    with connected(recipe_file) as client, client.makefile("rb") as answers:
        client.sendall(b'{"unit": "v7"}\n{"unit": "v8"}')
        client.shutdown(socket.SHUT_WR)
        assert [json.loads(line)["opened"] for line in answers] == [True, False]
    assert [unit.unit for unit in waiting(stream)] == ["v7"]


def test_a_refusal_that_nobody_hears_is_a_fault_of_the_line(stream: SoftwareTrigger, recipe_file: Path) -> None:
    with reading(stream) as reader:
        with connected(recipe_file) as client:
            client.sendall(b'{"unit": "v7')  # and the caller dies
        assert "a unit that was announced was not opened" in reader.faults()
    with reading(stream) as reader, connected(recipe_file) as client:
        client.sendall(b'{"unit": "v8"}\n')
        assert reader.until(1)[0].unit == "v8"


def test_datagrams_are_units_answered_where_there_is_an_address(recipe_file: Path, tmp_path: Path) -> None:
    with (
        closing(software(recipe_file, path="line.sock", socket="datagram")) as trigger,
        connected(recipe_file, socket.SOCK_DGRAM) as client,
        connected(recipe_file, socket.SOCK_DGRAM) as nameless,
    ):
        client.bind(str(tmp_path / "client.sock"))
        client.send(b'{"unit": "v7"}')
        assert json.loads(client.recv(9999)) == {"opened": True}
        for said, why in MALFORMED:
            client.send(said)
            assert why in json.loads(client.recv(9999))["message"]
        with reading(trigger) as reader:
            nameless.send(b'{"unit": "v8"}')
            assert [unit.unit for unit in reader.until(2)] == ["v7", "v8"]
            nameless.send(b"{")
            assert "nvalid JSON" in reader.faults()


def test_callers_hear_what_is_wrong_and_nothing_is_opened(recipe_file: Path) -> None:
    trigger = software(recipe_file)
    for wrong in (
        {"unit": ""},
        {"unit": "\ud800"},
        {"unit": 7},
        {"count": -1},
        {"at": float("nan")},
        {"at": time.monotonic() + 60},
    ):
        with pytest.raises(TriggerRefused, match="no unit was opened"):
            trigger.fire(**wrong)
    assert waiting(trigger) == []


def test_too_many_waiting_are_refused_and_the_line_is_told(recipe_file: Path) -> None:
    trigger, stop = software(recipe_file, queue=2), Event()
    at = time.monotonic()
    trigger.fire("v1", at)
    trigger.fire("v2", at)
    with pytest.raises(TriggerRefused, match="2 announced units were already waiting"):
        trigger.fire("v3", at)
    with pytest.raises(TriggerFault, match="2 announced units were already waiting"):
        next(trigger.units(stop))
    units = trigger.units(stop)
    assert [next(units), next(units)] == [Triggered(at, None, "v1"), Triggered(at, None, "v2")]


def test_what_was_acknowledged_is_opened_and_a_stopped_line_takes_no_more(recipe_file: Path) -> None:
    trigger = software(recipe_file)
    trigger.fire("v1")
    assert [unit.unit for unit in waiting(trigger)] == ["v1"]
    with pytest.raises(TriggerRefused, match="the line is stopped"):
        trigger.fire("v2")


def test_a_socket_of_someone_alive_is_refused_and_goes_on(stream: SoftwareTrigger, recipe_file: Path) -> None:
    for kind in ("stream", "datagram"):
        with pytest.raises(TriggerUnavailable, match=r"another process listens on .*line\.sock"):
            software(recipe_file, path="line.sock", socket=kind)
    with connected(recipe_file) as client, client.makefile("rb") as answers:
        client.sendall(b"{}\n")
        assert json.loads(answers.readline())["opened"]
    assert len(waiting(stream)) == 1


def test_a_socket_that_a_killed_process_left_is_taken_over_and_removed_at_the_end(recipe_file: Path) -> None:
    path = recipe_file.parent / "line.sock"
    left = "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); os._exit(9)"
    subprocess.run([sys.executable, "-c", left, str(path)], timeout=60, check=False)
    assert path.is_socket()
    trigger = software(recipe_file, path="line.sock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    connected(recipe_file).close()
    trigger.close()
    assert not path.exists()


def test_a_file_in_the_way_is_kept(recipe_file: Path) -> None:
    path = recipe_file.parent / "line.sock"
    path.write_text("recipe notes")
    with pytest.raises(TriggerUnavailable, match="is there and is no socket"):
        software(recipe_file, path="line.sock")
    assert path.read_text() == "recipe notes"


def test_a_connection_too_many_is_closed_and_the_others_go_on(stream: SoftwareTrigger, recipe_file: Path) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(recipe_file)) for _ in range(16)]
        for client in clients:
            client.sendall(b"{}\n")
            assert json.loads(client.recv(99))["opened"]
        assert stack.enter_context(connected(recipe_file)).recv(99) == b""
        clients[0].sendall(b"{}\n")
        assert json.loads(clients[0].recv(99))["opened"]
    assert len(waiting(stream)) == 17


def test_closing_ends_the_connections_that_are_left(stream: SoftwareTrigger, recipe_file: Path) -> None:
    with connected(recipe_file) as client, client.makefile("rb") as answers:
        client.sendall(b"{}\n")
        answers.readline()
        stream.close()
        wait_for(lambda: answers.readline() == b"")
