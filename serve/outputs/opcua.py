"""An OPC UA server in the service, which tells a PLC of each unit."""

import asyncio
import contextlib
import hmac
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError
from pydantic import Field, field_validator, model_validator

from serve.outputs.credentials import read_secret
from serve.outputs.opcua_model import (
    ACKNOWLEDGED,
    HEARTBEAT,
    PASS,
    Model,
    build_model,
    no_unit,
    station_values,
    unit_values,
)
from serve.outputs.output import Output, OutputFault, OutputOptions, OutputUnavailable, Signal, StationState

_START_S = 60  # building the standard address space takes a second, on a small machine several
_FAREWELL_S = 0.3  # a subscriber's publishing interval: how long the last values stand before the server goes
_MARGIN_S = 1.0  # beyond the deadline, for an event loop that does not come to it
Result = TypeVar("Result")


class OpcUaOptions(OutputOptions):
    """`acknowledge: false` does not wait for a client. With `certificate` and `key` (PEM or DER files) only signed and
    encrypted connections are taken; with `username` only those that know the password."""

    endpoint: str = "opc.tcp://127.0.0.1:4840/inspection"
    acknowledge: bool = True
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = Field(default=None, min_length=1)
    password_file: Path | None = None

    @field_validator("endpoint")
    @classmethod
    def _complete(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme != "opc.tcp" or not parts.hostname or not parts.port:
            msg = "an endpoint is opc.tcp://HOST:PORT/PATH"
            raise ValueError(msg)
        return endpoint

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.certificate is None) != (self.key is None) or (self.username is None) != (self.password_file is None):
            msg = "certificate and key go together, and so do username and password_file; give both or neither"
            raise ValueError(msg)
        return self


class OpcUaOutput(Output):
    """A server whose nodes clients read or subscribe to. Acknowledged means that a client has written the unit's number
    to the node AcknowledgedNumber; nothing else can be written."""

    Options: ClassVar[type[OutputOptions]] = OpcUaOptions

    def __init__(self, name: str, options: OutputOptions, folder: Path) -> None:
        assert isinstance(options, OpcUaOptions)
        self._options, self._folder = options, folder
        self._owner = f"output {name!r}: the OPC UA server at {options.endpoint}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._model: Model | None = None
        self._state: StationState | None = None
        self._acknowledged = asyncio.Event()
        self._awaited: int | None = None
        self._beat = 0

    def open(self, state: StationState) -> None:
        self._state = state
        _refuse_taken(self._options.endpoint, self._owner)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_turn, args=(self._loop,), name="opcua", daemon=True)
        self._thread.start()
        try:
            self._model = self._run(self._start(state), _START_S)
        except OutputUnavailable:
            self.close()
            raise
        except (OSError, ValueError, TypeError, TimeoutError, UaError) as error:
            self.close()
            raise OutputUnavailable(f"{self._owner} cannot start ({error})") from error

    def send(self, signal: Signal) -> None:
        model, state = self._opened()
        try:
            self._run(self._tell(model, signal, state), self._options.timeout_ms / 1000 + _MARGIN_S)
        except TimeoutError as error:
            said = f"{self._owner}: no client acknowledged unit {signal.number} within {self._options.timeout_ms} ms"
            raise OutputFault(said) from error
        except UaError as error:
            raise OutputFault(f"{self._owner} could not tell of unit {signal.number} ({error})") from error

    def show(self, state: StationState) -> None:
        model, _ = self._opened()
        self._state = state
        self._beat = (self._beat + 1) % 2**32
        try:
            self._run(
                model.write(station_values(state) | {HEARTBEAT: self._beat}),
                self._options.timeout_ms / 1000 + _MARGIN_S,
            )
        except (UaError, TimeoutError) as error:
            raise OutputFault(f"{self._owner} could not show its state ({error})") from error

    def close(self) -> None:
        loop, thread, model, state = self._loop, self._thread, self._model, self._state
        self._loop = self._thread = self._model = self._state = None
        if loop is None or thread is None:
            return
        if model is not None and state is not None:
            stopping = asyncio.run_coroutine_threadsafe(_stop(model, state.off()), loop)
            with contextlib.suppress(Exception):  # closing never raises: the clients lose the connection anyhow
                stopping.result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_S)

    def _opened(self) -> tuple[Model, StationState]:
        if self._model is None or self._state is None:
            raise OutputFault(f"{self._owner} does not run: the output is not open")
        return self._model, self._state

    def _run(self, work: Coroutine[Any, Any, Result], within_s: float) -> Result:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    async def _start(self, state: StationState) -> Model:
        self._acknowledged = asyncio.Event()  # belongs to this loop
        options, folder = self._options, self._folder
        password = read_secret(folder / options.password_file, self._owner) if options.password_file else None
        server = Server(user_manager=_Clients(options.username, password))
        await server.init()
        server.set_endpoint(options.endpoint)
        server.set_server_name("Visual inspection")
        await server.set_application_uri(f"urn:pharma-inspection:{state.station}")
        tokens: list[type] = [ua.AnonymousIdentityToken] if password is None else [ua.UserNameIdentityToken]
        server.set_identity_tokens(tokens)
        policy = ua.SecurityPolicyType.NoSecurity
        if options.certificate is not None and options.key is not None:
            policy = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
            await server.load_certificate(folder / options.certificate)
            await server.load_private_key(folder / options.key)
        server.set_security_policy([policy])
        model = await build_model(server)
        await model.write(no_unit() | station_values(state))
        acknowledged = model.nodes[ACKNOWLEDGED]
        await acknowledged.set_writable()
        server.iserver.aspace.add_datachange_callback(acknowledged.nodeid, AttributeIds.Value, self._written)
        await server.start()
        return model

    async def _tell(self, model: Model, signal: Signal, state: StationState) -> None:
        values = unit_values(signal, state)
        self._acknowledged.clear()
        self._awaited = None
        # No permit while the values change, and no acknowledgement left over from a unit of the same number.
        await model.write({PASS: False, ACKNOWLEDGED: 0})
        self._awaited = signal.number % 2**32
        await model.write(values)
        if not self._options.acknowledge:
            return
        try:
            async with asyncio.timeout(self._options.timeout_ms / 1000):
                await self._acknowledged.wait()
        except TimeoutError:
            await model.write({PASS: False})
            raise
        finally:
            self._awaited = None

    async def _written(self, _: int, value: ua.DataValue) -> None:
        number = value.Value.Value if value.Value is not None else None
        if self._awaited is not None and number == self._awaited:
            self._acknowledged.set()


class _Clients(UserManager):
    """Who may connect: the one user, or anybody where there is none. Nobody may change more than what is writable."""

    def __init__(self, username: str | None, password: str | None) -> None:
        self._username, self._password = username, password

    def get_user(
        self,
        iserver: Any,  # noqa: ARG002 - the library's interface
        username: str | None = None,
        password: Any = None,
        certificate: Any = None,  # noqa: ARG002
    ) -> User | None:
        if self._username is None or self._password is None:
            return User(role=UserRole.User)
        given = password.decode(errors="replace") if isinstance(password, bytes) else password or ""
        known = hmac.compare_digest(given.encode(), self._password.encode()) and username == self._username
        return User(role=UserRole.User, name=self._username) if known else None


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and end what is left in it."""
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:  # of nothing gather makes a future of the current loop, which this thread has not
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


def _refuse_taken(endpoint: str, owner: str) -> None:
    # Tried before the library does, which would print a traceback.
    parts = urlsplit(endpoint)
    try:
        with socket.create_server((parts.hostname or "", parts.port or 0)):
            pass
    except OSError as error:
        raise OutputUnavailable(f"{owner} cannot listen there ({error.strerror}); choose another endpoint") from error


async def _stop(model: Model, state: StationState) -> None:
    await model.write(no_unit() | station_values(state))
    await asyncio.sleep(_FAREWELL_S)
    await model.server.stop()
