"""Small pictures of images, kept in memory: a gallery asks for the same ones again and again, and an image that is
named by its content never changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable

_LARGEST = 512  # px; wider pictures are looked at one by one


class SmallPictures:
    """The last used ones, `most_bytes` of them in all, by image and width. Safe for several threads."""

    def __init__(self, most_bytes: int = 48 * 2**20) -> None:
        self._most, self._bytes, self._lock = most_bytes, 0, threading.Lock()
        self._kept: OrderedDict[tuple[str, int], tuple[bytes, str]] = OrderedDict()

    def get(self, image: str, width: int, make: Callable[[], tuple[bytes, str]]) -> tuple[bytes, str]:
        """The picture's bytes and media type, from memory or made."""
        key = (image, width)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        if width <= _LARGEST:
            self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, int], made: tuple[bytes, str]) -> None:
        with self._lock:
            if key in self._kept or len(made[0]) > self._most:
                return
            self._kept[key] = made
            self._bytes += len(made[0])
            while self._bytes > self._most:
                _, (data, _) = self._kept.popitem(last=False)
                self._bytes -= len(data)
