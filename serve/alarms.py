"""What is wrong with the station now: a board of alarms."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from inspection.records import utc_text
from serve.outputs.output import Alarm

# Of one unit, and gone with the next that is decided otherwise: records of the units say it already.
PASSING = frozenset({"unit_fault"})


class Alarms:
    """Alarms by what they are about, e.g. `camera top`. May be used from several threads.

    `changed(about, alarm)` is called, outside the lock, when one is raised, says something else, or is cleared (None).
    """

    def __init__(self, changed: Callable[[str, Alarm | None], None] = lambda _about, _alarm: None) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._alarms: dict[str, Alarm] = {}

    def set(self, code: str, message: str, about: str = "") -> None:
        """Raise the alarm `code` about something, or clear it with an empty message."""
        about = about or code
        with self._lock:
            before = self._alarms.get(about)
            if message == (before.message if before else ""):
                return
            now = None
            if message:
                since = before.since if before and before.code == code else utc_text(datetime.now(UTC))
                now = self._alarms[about] = Alarm(code, message, since)
            else:
                del self._alarms[about]
        self._changed(about, now)

    @property
    def all(self) -> tuple[Alarm, ...]:
        """The oldest first."""
        with self._lock:
            return tuple(self._alarms.values())

    def clear(self, abouts: str) -> None:
        """Clear every alarm about something that begins so."""
        with self._lock:
            gone = [(about, alarm.code) for about, alarm in self._alarms.items() if about.startswith(abouts)]
        for about, code in gone:
            self.set(code, "", about)
