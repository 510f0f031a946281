"""A web server that is told of each unit by HTTP POST."""

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

import httpx
from pydantic import AnyHttpUrl

from serve.outputs.credentials import read_secret, tls_context
from serve.outputs.output import Output, OutputFault, OutputOptions, OutputUnavailable, Signal, StationState


class WebhookOptions(OutputOptions):
    """`token_file` holds a bearer token; `ca_file` the authorities to trust instead of this machine's."""

    url: AnyHttpUrl
    token_file: Path | None = None
    ca_file: Path | None = None


class WebhookOutput(Output):
    """JSON by POST to one address. Acknowledged means an answer of 2xx; a redirect is no acknowledgement."""

    Options: ClassVar[type[OutputOptions]] = WebhookOptions

    def __init__(self, name: str, options: OutputOptions, folder: Path) -> None:
        assert isinstance(options, WebhookOptions)
        self._options, self._folder = options, folder
        # Without what a password in the address would show.
        self._owner = f"output {name!r}: {options.url.scheme}://{options.url.host}:{options.url.port}"
        self._runner: asyncio.Runner | None = None
        self._client: httpx.AsyncClient | None = None
        self._state: StationState | None = None

    def open(self, state: StationState) -> None:
        options = self._options
        headers: dict[bytes, bytes] = {}
        if options.token_file is not None:
            token = read_secret(self._folder / options.token_file, self._owner)
            headers[b"Authorization"] = f"Bearer {token}".encode()
        ca_file = self._folder / options.ca_file if options.ca_file is not None else None
        # No redirects, and no proxy from the environment: signals go to the recipe's host and nowhere else.
        self._client = httpx.AsyncClient(  # nosec B113
            headers=headers,
            verify=tls_context(ca_file, None, None, self._owner),
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # one deadline over all of it stands in _post
        )
        self._runner = asyncio.Runner()
        try:
            self.show(state)
        except OutputFault as error:
            self.close()
            raise OutputUnavailable(str(error)) from error

    def send(self, signal: Signal) -> None:
        station = self._state.station if self._state else None
        self._tell({"event": "unit", "station": station, **signal.fields()})

    def show(self, state: StationState) -> None:
        self._state = state
        self._tell({"event": "station", **state.fields()})

    def close(self) -> None:
        if self._runner is None or self._client is None:
            return
        try:
            if self._state is not None:
                self.show(self._state.off())
        except OutputFault:
            pass  # whoever is not there does not hear it
        finally:
            self._runner.run(self._client.aclose())
            self._runner.close()
            self._runner = self._client = None

    def _tell(self, content: dict[str, Any]) -> None:
        if self._runner is None or self._client is None:
            raise OutputFault(f"{self._owner} is not open")
        try:
            status = self._runner.run(self._post(self._client, json.dumps(content, allow_nan=False)))
        except TimeoutError as error:
            raise OutputFault(f"{self._owner} did not answer within {self._options.timeout_ms} ms") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise OutputFault(f"{self._owner} cannot be told ({error or type(error).__name__})") from error
        if not 200 <= status < 300:
            raise OutputFault(f"{self._owner} answered {status}; only 2xx acknowledges a signal")

    async def _post(self, client: httpx.AsyncClient, body: str) -> int:
        async with asyncio.timeout(self._options.timeout_ms / 1000):
            # Streamed: the status acknowledges, and whatever follows it is not waited for longer than the deadline.
            headers = {"Content-Type": "application/json"}
            async with client.stream("POST", str(self._options.url), content=body, headers=headers) as answer:
                async for chunk in answer.aiter_raw():  # read away, so that the connection can be used again
                    del chunk
                return answer.status_code
