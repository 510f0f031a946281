"""The first start: an archive without accounts. Whoever can read what the service writes may make the first one."""

import secrets
import threading

from inspection.errors import InspectionError

_TRIES = 5


class FirstStartRefused(InspectionError):
    """The code to make the first account is another."""

    code = "setup_refused"


class FirstStart:
    """Holds the code, which is never stored. After five wrong ones the service must be started again."""

    def __init__(self) -> None:
        self.code = secrets.token_hex(8)
        self._left, self._lock = _TRIES, threading.Lock()

    def check(self, code: str) -> None:
        """Raises FirstStartRefused."""
        with self._lock:
            if self._left == 0:
                raise FirstStartRefused("too many wrong codes; start the service again for a new one")
            if not secrets.compare_digest(code.strip().encode(), self.code.encode()):
                self._left -= 1
                raise FirstStartRefused("this is not the code that the service wrote when it was started")
