"""Live events: from the line's threads to every open page, never waiting for any of them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

_BEHIND = 20


class LiveEvents:
    """A broadcast. A listener that is slow loses the oldest events: pages show what is now, records keep the rest."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the event loop that listeners run on."""
        self._loop = loop

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to all listeners. May be called from any thread, and does nothing before `attach`."""
        if self._loop and not self._closed:
            self._loop.call_soon_threadsafe(self._spread, event)

    def close(self) -> None:
        """End every listener's stream, so that the server can stop. May be called from any thread."""
        self._closed = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, None)

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        """Events from now on, until `close`."""
        own: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_BEHIND)
        self._listeners.add(own)
        try:
            while not self._closed and (event := await own.get()) is not None:
                yield event
        finally:
            self._listeners.discard(own)

    def _spread(self, event: dict[str, Any] | None) -> None:
        for own in self._listeners:
            if own.full():
                own.get_nowait()
            own.put_nowait(event)
