"""A real MQTT broker, and a host application that listens to it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from serve.outputs.sparkplug import Payload, decode
from tests.serve.output_receivers import Receiver
from tests.serve.serving import wait_for


def broker_program() -> str:
    """The broker; its absence is a failure where INSPECTION_REQUIRE_TEST_DATA is set, else a skip."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        reason = "there is no mosquitto: install the package mosquitto"
        if os.environ.get("CI") or os.environ.get("INSPECTION_REQUIRE_TEST_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Broker(Receiver):
    """mosquitto on a port; `settings` are further lines of its configuration. What nodes publish is in `heard`."""

    _UNIT: ClassVar = {
        "number": "Number", "unit": "Id", "outcome": "Outcome", "reason": "Reason", "score": "Score",
        "opened_at": "OpenedAt", "record": "Record",
    }  # fmt: skip

    def __init__(self, folder: Path, port: int, *settings: str, watched: bool = True) -> None:
        self._port, self._watched = port, watched
        self._program, self._config = broker_program(), folder / "mosquitto.conf"
        lines = [f"listener {port} 127.0.0.1", *(settings or ["allow_anonymous true"]), "persistence false"]
        if os.geteuid() == 0:
            lines.append("user root")
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Client | None = None
        self.heard: list[tuple[str, Payload]] = []
        self.options = {"host": "127.0.0.1", "port": port}

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens)
        if self._watched:
            self._watch()

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def _watch(self) -> None:
        subscribed = threading.Event()
        watcher = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        watcher.on_message = self._hear
        watcher.on_connect = lambda *_: watcher.subscribe("spBv1.0/#", qos=1)
        watcher.on_subscribe = lambda *_: subscribed.set()
        watcher.connect("127.0.0.1", self._port)
        watcher.loop_start()
        assert subscribed.wait(20)
        self._watcher = watcher

    def _hear(self, _: Client, __: Any, message: MQTTMessage) -> None:
        kind = message.topic.split("/")[2]
        if kind != "NCMD":
            self.heard.append((kind, decode(message.payload)))

    def command(self, payload: bytes, node: str) -> None:
        """Publish a command to a node."""
        assert self._watcher is not None
        self._watcher.publish(f"spBv1.0/inspection/NCMD/{node}", payload, qos=1).wait_for_publish(20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._watcher is not None:
            self._watcher.loop_stop()
            self._watcher = None

    def mute(self, muted: bool) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP if muted else signal.SIGCONT)

    def kinds(self) -> list[str]:
        """The kinds of the nodes' messages."""
        return [kind for kind, _ in self.heard]

    def of(self, kind: str) -> list[Payload]:
        """The messages of a kind."""
        return [payload for heard, payload in self.heard if heard == kind]

    def _metrics(self) -> dict[str, Any]:
        """As a host application has them: of the last birth and all data since, nothing after a death."""
        metrics: dict[str, Any] = {}
        for kind, payload in list(self.heard):
            if kind in ("NBIRTH", "NDEATH"):
                metrics = {}
            if kind in ("NBIRTH", "NDATA"):
                metrics |= payload.metrics
        return metrics

    def unit(self) -> dict[str, Any]:
        metrics = self._metrics()
        return {key: metrics.get(f"Unit/{name}") for key, name in self._UNIT.items()}

    def permits(self) -> bool:
        return self.running() and self.unit()["outcome"] == "PASS"

    def running(self) -> bool:
        return bool(self._metrics().get("Station/State") == "running")
