"""Live events: from the line's threads to every open page, never waiting for any of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

_BEHIND = 20


class LiveEvent(NamedTuple):
    """`unit`: a disposition with the status after it, less the trend. `status`: the status alone, after it changed.
    `trend`: the reject-rate trend alone, once a second at most."""

    name: Literal["unit", "status", "trend"]
    data: dict[str, Any]


class LiveEvents:
    """A broadcast. A listener that is slow loses the oldest events: pages show what is now, records keep the rest."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[LiveEvent | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the event loop that listeners run on."""
        self._loop = loop

    def publish(self, event: LiveEvent) -> None:
        """Send an event to all listeners. May be called from any thread; does nothing where nobody can listen."""
        if not self._closed:
            self._call(event)

    def close(self) -> None:
        """End every listener's stream, so that the server can stop. May be called from any thread."""
        self._closed = True
        self._call(None)

    @contextmanager
    def listener(self) -> Iterator[AsyncIterator[LiveEvent]]:
        """Events from now on, until `close`."""
        own: asyncio.Queue[LiveEvent | None] = asyncio.Queue(_BEHIND)
        self._listeners.add(own)
        try:
            yield self._events(own)
        finally:
            self._listeners.discard(own)

    async def _events(self, own: asyncio.Queue[LiveEvent | None]) -> AsyncIterator[LiveEvent]:
        while not (self._closed and own.empty()) and (event := await own.get()) is not None:
            yield event

    def _call(self, event: LiveEvent | None) -> None:
        if self._loop:
            with suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._spread, event)

    def _spread(self, event: LiveEvent | None) -> None:
        for own in self._listeners:
            if own.full():
                own.get_nowait()
            own.put_nowait(event)
