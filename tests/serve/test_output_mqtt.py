"""Sparkplug B as a host application sees it, on a real broker."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inspection.config import ConfigInvalid
from serve.outputs import OutputUnavailable, make_output, open_output
from serve.outputs.sparkplug import Kind, Metric, NotSparkplug, decode, encode
from tests.conftest import ROOT
from tests.serve.output_broker import Broker
from tests.serve.output_examples import PASSED, STATE, config_of, self_signed
from tests.serve.serving import wait_for

METRICS = [
    Metric("bdSeq", Kind.INT64, 7),
    Metric("Unit/Score", Kind.DOUBLE, 1.25),
    Metric("Unit/Outcome", Kind.STRING, "REJECT"),
    Metric("Node Control/Rebirth", Kind.BOOLEAN, False),
    Metric("Unit/Number", Kind.UINT64, 70_000),
    Metric("Unit/Record", Kind.STRING, None),
]
# The same, as another implementation writes it (pysparkplug 0.6.1).
WRITTEN_BY_ANOTHER = bytes.fromhex(
    "08e807120e0a05626453657118e80720045807121a0a0a556e69742f53636f726518e807200a69000000000000f43f121b0a0c556e69742f4f7574636f6d6518e807200c7a0652454a454354121d0a144e6f646520436f6e74726f6c2f5265626972746818e807200b700012160a0b556e69742f4e756d62657218e807200858f0a20412140a0b556e69742f5265636f726418e807200c38011800"
)


@pytest.fixture
def broker(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Broker]:
    made = Broker(tmp_path, free_port())
    made.start()
    yield made
    made.end()


def test_payloads_are_those_of_another_implementation() -> None:
    assert encode(METRICS, 0, 1000) == WRITTEN_BY_ANOTHER
    read = decode(WRITTEN_BY_ANOTHER)
    assert read.sequence == 0
    assert read.metrics == {metric.name: metric.value for metric in METRICS}


def test_what_is_no_payload_is_said() -> None:
    with pytest.raises(NotSparkplug):
        decode(b"rebirth, please")


def test_births_numbers_and_death_make_one_session(broker: Broker, recipe_file: Path) -> None:
    output = open_output(config_of("mqtt", **broker.options), recipe_file, STATE)
    for number in range(1, 261):
        output.send(replace(PASSED, number=number))
    wait_for(lambda: len(broker.heard) >= 261)
    assert [payload.sequence for _, payload in broker.heard] == [number % 256 for number in range(261)]
    birth = broker.heard[0][1].metrics
    assert broker.kinds()[0] == "NBIRTH"
    assert {"bdSeq", "Node Control/Rebirth", "Station/Alarms", "Counts/units", "Unit/Outcome"} <= birth.keys()
    assert birth["Unit/Outcome"] is None
    assert birth.keys() >= {name for _, payload in broker.heard for name in payload.metrics}

    broker.command(b"no payload at all", "station-1")
    broker.command(encode([Metric("Node Control/Rebirth", Kind.BOOLEAN, True)], None, 0), "station-1")
    wait_for(lambda: broker.kinds().count("NBIRTH") == 2)
    output.send(replace(PASSED, number=261))
    wait_for(lambda: broker.kinds()[-1] == "NDATA")
    assert [payload.sequence for _, payload in broker.heard[-2:]] == [0, 1]
    assert broker.of("NBIRTH")[1].metrics["bdSeq"] == birth["bdSeq"]

    output.close()
    wait_for(lambda: broker.kinds()[-1] == "NDEATH")
    broker.command(encode([Metric("Node Control/Rebirth", Kind.BOOLEAN, True)], None, 0), "station-1")
    assert [payload.metrics for payload in broker.of("NDEATH")] == [{"bdSeq": birth["bdSeq"]}]


def test_a_broker_that_comes_back_hears_a_new_birth(broker: Broker, recipe_file: Path) -> None:
    output = open_output(config_of("mqtt", **broker.options), recipe_file, STATE)
    wait_for(lambda: broker.heard)
    broker.stop()
    broker.start()
    output.send(PASSED)
    wait_for(lambda: broker.kinds() == ["NBIRTH", "NBIRTH", "NDATA"])
    first, second = (int(payload.metrics["bdSeq"] or 0) for payload in broker.of("NBIRTH"))
    assert second == (first + 1) % 256
    output.close()


PUBLISHER = """
import sys, time
from pathlib import Path
from serve.outputs import open_output
from tests.serve.output_examples import PASSED, STATE, config_of
output = open_output(config_of("mqtt", host="127.0.0.1", port=int(sys.argv[1])), Path("recipe.yaml"), STATE)
output.send(PASSED)
print("sent", flush=True)
time.sleep(600)
"""


def test_a_station_that_is_killed_is_declared_dead(broker: Broker) -> None:
    words = [sys.executable, "-c", PUBLISHER, str(broker.options["port"])]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        wait_for(broker.permits)
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not broker.permits())
    [birth], [death] = broker.of("NBIRTH"), broker.of("NDEATH")
    assert death.metrics == {"bdSeq": birth.metrics["bdSeq"]}


def test_password_and_authority_are_asked_for(tmp_path: Path, recipe_file: Path, free_port: Callable[[], int]) -> None:
    certificate, key = self_signed(tmp_path)
    users = tmp_path / "users"
    users.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(users), "station", "right"], check=True)
    settings = (f"certfile {certificate}", f"keyfile {key}", "allow_anonymous false", f"password_file {users}")
    broker = Broker(tmp_path, free_port(), *settings, watched=False)
    broker.start()
    (tmp_path / "right").write_text("right\n")
    (tmp_path / "wrong").write_text("wrong\n")
    asked: dict[str, Any] = {"tls": True, "ca_file": certificate.name, "username": "station", "password_file": "right"}
    try:
        output = open_output(config_of("mqtt", **broker.options, **asked), recipe_file, STATE)
        output.send(PASSED)
        output.close()
        for change, said in (
            ({"password_file": "wrong"}, "refused the connection"),
            ({"password_file": "nowhere"}, "nowhere cannot be read"),
            ({"ca_file": None}, "cannot be reached"),
            ({"ca_file": "right"}, "cannot be used for TLS"),
        ):
            with pytest.raises(OutputUnavailable, match=said):
                open_output(config_of("mqtt", **broker.options, **(asked | change)), recipe_file, STATE)
    finally:
        broker.end()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ca_file": "ca.pem"}, "only with tls"),
        ({"password_file": "secret"}, "only with a username"),
        ({"group": "plant/1"}, "group"),
        ({"port": 0}, "port"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str, recipe_file: Path) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        make_output(config_of("mqtt", host="broker", **options), recipe_file)
