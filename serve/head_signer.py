"""Signs the heads of the chains that this station appends to: at an interval, when a batch ends, and at the end."""

import threading
from collections.abc import Callable, Sequence

from inspection.archive import Archive
from inspection.errors import InspectionError
from inspection.signing import SigningKey, sign_heads
from inspection.station import fault_text

_EVERY_S = 300.0


class HeadSigner:
    """Signs from a thread of its own; `alarm` is told why it cannot, and "" once it can."""

    def __init__(
        self, archive: Archive, key: SigningKey, stations: Sequence[str], alarm: Callable[[str], None],
        every_s: float = _EVERY_S,
    ) -> None:  # fmt: skip
        self._archive, self._key, self._stations = archive, key, stations
        self._alarm, self._every_s = alarm, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="heads", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Sign what there is, a last time."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self.sign()

    def sign(self) -> None:
        """Sign the heads as they are now."""
        try:
            sign_heads(self._archive, self._key, self._stations)
        except InspectionError as error:
            self._alarm(f"the chains' heads could not be signed: {fault_text(error)}")
        else:
            self._alarm("")

    def _work(self) -> None:
        while not self._ended.wait(self._every_s):
            self.sign()
