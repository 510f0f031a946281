"""Run the application, so that a signal stops it within seconds although pages listen to it."""

import asyncio
import signal
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from inspection.errors import InspectionError
from serve.app import create_app
from serve.first_start import FirstStart
from serve.logs import log
from serve.service import Service


class PortUnavailable(InspectionError):
    """The service cannot listen where it was told to."""

    code = "port_unavailable"


class TlsUnusable(InspectionError):
    """The certificate or its key cannot be used."""

    code = "tls_unusable"


class PlainHttpRefused(InspectionError):
    """Passwords and records would cross a network unencrypted."""

    code = "plain_http_refused"


@dataclass(frozen=True)
class Tls:
    """A certificate (with its chain) and its key, PEM files without a password."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raises TlsUnusable."""
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.certificate, self.key, password="")  # nosec B106
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or str(error)
            raise TlsUnusable(f"{self.certificate} and {self.key} cannot be used ({why}); give PEM files") from error


def check_address(host: str, tls: Tls | None, plain: bool) -> None:
    """Raises PlainHttpRefused where others could listen in, unless that is wanted; TlsUnusable."""
    if tls:
        tls.check()
    elif not plain and host not in ("127.0.0.1", "::1", "localhost"):
        raise PlainHttpRefused(
            f"{host} would be reached over a network without encryption; give --tls-certificate and --tls-key, or "
            "--plain-http where a proxy in front of it has TLS"
        )


class Server(uvicorn.Server):
    """uvicorn's server on a socket from `listen`; it ends live event streams before it waits for open connections."""

    def __init__(self, service: Service, listener: socket.socket, tls: Tls | None = None) -> None:
        self._service, self._listener = service, listener
        host, port = listener.getsockname()[:2]
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.address = f"{'https' if tls else 'http'}://{place}/"
        self.first_start = FirstStart()
        super().__init__(
            uvicorn.Config(
                create_app(service, secure=tls is not None, first_start=self.first_start),
                log_level="warning", log_config=None, timeout_graceful_shutdown=5, server_header=False,
                ssl_certfile=tls.certificate if tls else None, ssl_keyfile=tls.key if tls else None,
            )
        )  # fmt: skip

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Called on SIGINT and SIGTERM: a normal end, so the signal is not raised again afterwards as uvicorn would."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.finish()

    def finish(self) -> None:
        """Stop soon: no new connections, the line drained, everything recorded."""
        self._service.live.close()
        self.should_exit = True

    async def serve_bound(self) -> None:
        """Answer until a signal or `finish`, then close the service."""
        self._service.live.attach(asyncio.get_running_loop())
        recipe = self._service.line.recipe
        log("service started", address=self.address, station=recipe.station, recipe=recipe.label)
        try:
            await self.serve([self._listener])
        finally:
            await asyncio.to_thread(self._service.close)
            log("service stopped", counts=self._service.tally.snapshot()["outcomes"])

    def run_bound(self) -> None:
        """`serve_bound` with an event loop of its own."""
        asyncio.run(self.serve_bound())


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises PortUnavailable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections have this from their listener: without it an answer's body waits up to 40 ms for its head's receipt.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortUnavailable(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port"
        ) from error
    return listener
