"""A broker that is told of each unit by MQTT, as Sparkplug B's edge node."""

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any, ClassVar, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import Field, model_validator

from serve.outputs.credentials import read_secret, tls_context
from serve.outputs.output import Output, OutputFault, OutputOptions, OutputUnavailable, Signal, StationState
from serve.outputs.sparkplug import (
    NAMESPACE,
    Kind,
    Metric,
    NotSparkplug,
    decode,
    encode,
    station_metrics,
    unit_metrics,
)

_NAME = r"^[^/+#\x00]{1,128}$"
_REBIRTH = "Node Control/Rebirth"


class MqttOptions(OutputOptions):
    """`group` and `node` are the Sparkplug names; `node` is the station's unless it is set. A node that falls silent is
    dead to the broker after one and a half times `keepalive_s`."""

    host: str = Field(min_length=1)
    port: int = Field(default=1883, ge=1, le=65_535)
    group: str = Field(default="inspection", pattern=_NAME)
    node: str | None = Field(default=None, pattern=_NAME)
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    keepalive_s: int = Field(default=5, ge=1, le=3600)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name in ("ca_file", "certificate", "key"):
            if getattr(self, name) is not None and not self.tls:
                msg = f"{name} is of use only with tls: true"
                raise ValueError(msg)
        if self.password_file is not None and self.username is None:
            msg = "password_file is of use only with a username"
            raise ValueError(msg)
        return self


class MqttOutput(Output):
    """An edge node with its metrics. Acknowledged means PUBACK: the broker has it.

    Each connection is a client of its own: its will carries its own bdSeq, and nothing that was not acknowledged on one
    connection is sent again on the next.
    """

    Options: ClassVar[type[OutputOptions]] = MqttOptions

    def __init__(self, name: str, options: OutputOptions, folder: Path) -> None:
        assert isinstance(options, MqttOptions)
        self._options, self._folder = options, folder
        self._owner = f"output {name!r}: the broker at {options.host}:{options.port}"
        self._client: Client | None = None
        self._state: StationState | None = None
        self._last: Signal | None = None
        self._password: str | None = None
        self._tls: ssl.SSLContext | None = None
        # From the clock, so that a service that starts again does not come with the number of its own late death.
        self._birth_death = int(time.time()) % 256
        self._sequence = 0
        self._alive = False
        # The network thread answers the command for a rebirth; numbers must leave in their order.
        self._lock = threading.Lock()

    def open(self, state: StationState) -> None:
        self._state = state
        self._read_credentials()
        try:
            self._connect(self._deadline())
        except OutputFault as error:
            raise OutputUnavailable(str(error)) from error

    def send(self, signal: Signal) -> None:
        deadline = self._deadline()
        self._connect(deadline)
        self._publish("NDATA", unit_metrics(signal), deadline)
        self._last = signal

    def show(self, state: StationState) -> None:
        self._state = state if self._state is not None else None  # a closed output stays closed
        deadline = self._deadline()
        self._connect(deadline)
        self._publish("NDATA", station_metrics(state), deadline)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            if client.is_connected():
                self._say_goodbye(client)
            _drop(client)
        self._state = None

    def _say_goodbye(self, client: Client) -> None:
        with self._lock:
            self._alive = False
            death = client.publish(self._topic("NDEATH"), self._death(), qos=1)
        with contextlib.suppress(RuntimeError, ValueError):
            death.wait_for_publish(self._options.timeout_ms / 1000)
            if death.is_published():
                client.disconnect()  # politely: the will is not published as well
                client.loop_stop()  # which waits until the disconnect has left

    def _deadline(self) -> float:
        return time.monotonic() + self._options.timeout_ms / 1000

    def _read_credentials(self) -> None:
        options, folder = self._options, self._folder
        if options.password_file is not None:
            self._password = read_secret(folder / options.password_file, self._owner)
        if options.tls:
            ca_file, certificate, key = (
                path and folder / path for path in (options.ca_file, options.certificate, options.key)
            )
            self._tls = tls_context(ca_file, certificate, key, self._owner)

    def _connect(self, deadline: float) -> None:
        if self._client is not None and self._client.is_connected():
            return
        self._abandon()
        if self._state is None:
            raise OutputFault(f"{self._owner} is not connected: the output is not open")
        self._birth_death = (self._birth_death + 1) % 256
        client = self._new_client()
        answered = threading.Event()
        refused: list[str] = []

        def connected(_client: Client, _: Any, __: ConnectFlags, code: ReasonCode, ___: Properties | None) -> None:
            if code.is_failure:
                refused.append(str(code))
            answered.set()

        client.on_connect = connected
        client.connect_timeout = max(0.001, deadline - time.monotonic())
        try:
            client.connect(self._options.host, self._options.port, self._options.keepalive_s)
        except (OSError, ValueError) as error:
            raise OutputFault(f"{self._owner} cannot be reached ({error})") from error
        client.loop_start()
        self._client = client
        if not answered.wait(max(0.0, deadline - time.monotonic())):
            raise self._fault("did not answer")
        if refused:
            raise self._fault(f"refused the connection: {refused[0]}")
        client.subscribe(self._topic("NCMD"), qos=1)
        with self._lock:
            self._alive = True
            birth = self._birth(client)
        self._acknowledged(birth, deadline)

    def _new_client(self) -> Client:
        options = self._options
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{options.group}/{self._node}",
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if options.username is not None:
            client.username_pw_set(options.username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.will_set(self._topic("NDEATH"), self._death(), qos=1)
        client.on_message = self._commanded
        return client

    def _publish(self, kind: str, metrics: list[Metric], deadline: float) -> None:
        assert self._client is not None
        with self._lock:
            following = (self._sequence + 1) % 256
            try:
                payload = encode(metrics, following, _now_ms())
            except (TypeError, ValueError) as error:
                raise OutputFault(f"{self._owner} cannot be told what is no text or number ({error})") from error
            self._sequence = following
            said = self._client.publish(self._topic(kind), payload, qos=1)
        self._acknowledged(said, deadline)

    def _acknowledged(self, said: MQTTMessageInfo, deadline: float) -> None:
        try:
            said.wait_for_publish(max(0.001, deadline - time.monotonic()))
        except (RuntimeError, ValueError) as error:
            raise self._fault(f"lost the connection ({error})") from error
        if not said.is_published():
            raise self._fault(f"did not acknowledge within {self._options.timeout_ms} ms")

    def _fault(self, what: str) -> OutputFault:
        self._abandon()
        return OutputFault(f"{self._owner} {what}")

    def _abandon(self) -> None:
        """Hang up without a word: the broker publishes the will."""
        client, self._client, self._alive = self._client, None, False
        if client is not None:
            _drop(client)

    def _birth(self, client: Client) -> MQTTMessageInfo:
        assert self._state is not None
        self._sequence = 0
        metrics = [
            Metric("bdSeq", Kind.INT64, self._birth_death),
            Metric(_REBIRTH, Kind.BOOLEAN, False),
            *station_metrics(self._state),
            *unit_metrics(self._last),
        ]
        return client.publish(self._topic("NBIRTH"), encode(metrics, 0, _now_ms()), qos=1)

    def _death(self) -> bytes:
        return encode([Metric("bdSeq", Kind.INT64, self._birth_death)], None, _now_ms())

    def _commanded(self, client: Client, _: Any, message: MQTTMessage) -> None:
        try:
            rebirth = decode(bytes(message.payload)).metrics.get(_REBIRTH)
        except NotSparkplug:
            return  # whatever it was, no command to us
        with self._lock:
            # Not after a death: receivers would hold a closed station for alive.
            if rebirth is True and self._alive and client is self._client:
                self._birth(client)

    @property
    def _node(self) -> str:
        assert self._state is not None
        return self._options.node or self._state.station

    def _topic(self, kind: str) -> str:
        return f"{NAMESPACE}/{self._options.group}/{kind}/{self._node}"


def _drop(client: Client) -> None:
    """End a client's connection and its thread at once."""
    connection = client.socket()
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # the other side was faster
            connection.shutdown(socket.SHUT_RDWR)
    client.loop_stop()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
