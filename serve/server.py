"""Run the application, so that a signal stops it within seconds although pages listen to it."""

import asyncio
import socket
from types import FrameType

import uvicorn

from inspection.errors import InspectionError
from serve.app import create_app
from serve.service import Service


class PortUnavailable(InspectionError):
    """The service cannot listen where it was told to."""

    code = "port_unavailable"


class Server(uvicorn.Server):
    """uvicorn's server on a bound socket; it ends live event streams before it waits for open connections."""

    def __init__(self, service: Service, host: str, port: int) -> None:
        self._service = service
        self._socket = _bind(host, port)
        self.address = f"http://{host}:{self._socket.getsockname()[1]}/"
        app = create_app(service)
        super().__init__(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5, lifespan="on"))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called on SIGINT and SIGTERM."""
        self.finish()
        super().handle_exit(sig, frame)

    def finish(self) -> None:
        """Stop soon: no new connections, the line drained, everything recorded."""
        self._service.live.close()
        self.should_exit = True

    async def serve_bound(self) -> None:
        """Serve until a signal or `finish`."""
        await self.serve([self._socket])

    def run_bound(self) -> None:
        """`serve_bound` with an event loop of its own; a signal is a normal end."""
        asyncio.run(self.serve_bound())


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortUnavailable(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port"
        ) from error
    return bound
