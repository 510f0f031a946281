"""Records in groups: while one group is being written, the next one gathers, so that a full line needs few commits.

Units are put on record in the order in which they come, with the events between them. What the archive does not accept
is owed: it goes on record, as a REJECT for that very reason, as soon as the archive accepts records again.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from inspection.records import Draft, Entry, FrameRecord, utc_text
from inspection.station import Station, fault_text
from inspection.unit_record import Seen, UnitAccount, unrecorded_draft

_GROUP = 64  # records written at once, at most
_CROWDED = 8  # units that may wait to be recorded before the images of those that nobody looked at are left out
_AGAIN_S = 1.0  # how often an archive that refused is asked again while nothing else comes


@dataclass
class _Item:
    """A unit with its number and the frames that are being kept, or an event."""

    number: int | None = None
    account: UnitAccount | None = None
    kept: list[Future[FrameRecord]] = field(default_factory=list)
    event: Draft | None = None


class Recorder:
    """Records for a station from one thread; `done(number, entry, message)` is called from it for each unit, exactly
    once, without an entry where the archive did not accept it. `alarm` is told why it does not, and "" once it does."""

    def __init__(
        self,
        station: Station,
        done: Callable[[int, Entry | None, str], None],
        alarm: Callable[[str], None] = lambda _: None,
        writers: int = 4,
    ) -> None:
        self._station, self._done, self._alarm = station, done, alarm
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._owed: deque[Draft] = deque()
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="keep")
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._refusing = False

    @property
    def waiting(self) -> int:
        """How many units and events wait."""
        return self._items.qsize()

    @property
    def owed(self) -> int:
        """How many records the archive has not accepted yet."""
        return len(self._owed)

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self) -> None:
        """Record what waits, and try once more to record what is owed."""
        self._items.put(None)
        self._thread.join()
        self._pool.shutdown()

    def unit(self, number: int, account: UnitAccount) -> None:
        """Put a unit on record. Its frames are stored from now on, side by side: begun while others are still looked
        at, storing would take the detector's cores."""
        if self.waiting > _CROWDED and not any(seen.finding for seen in account.seen):
            account = replace(account, more={**account.more, "images": "not kept: too many units were waiting"})
            kept = [_without_image(seen) for seen in account.seen]
        else:
            kept = [self._pool.submit(self._station.keep, seen, account) for seen in account.seen]
        self._items.put(_Item(number, account, kept))

    def event(self, draft: Draft) -> None:
        """Put an event on record."""
        self._items.put(_Item(event=draft))

    def _work(self) -> None:
        while True:
            group, ended = self._gather()
            if group or self._owed:
                self._write(group)
            if ended:
                return

    def _gather(self) -> tuple[list[_Item], bool]:
        """What waits now, at least one item unless it takes long; and whether that was the last."""
        group: list[_Item] = []
        try:
            item = self._items.get(timeout=_AGAIN_S if self._owed else None)
            while item is not None:
                group.append(item)
                if len(group) == _GROUP:
                    return group, False
                item = self._items.get_nowait()
        except queue.Empty:
            return group, False
        return group, True

    def _write(self, group: list[_Item]) -> None:
        drafts: list[tuple[int | None, Draft]] = []
        failed: list[tuple[int, str]] = []
        for item in group:
            draft, fault = self._draft(item)
            if fault:
                assert item.number is not None
                failed.append((item.number, fault))
                self._owed.append(unrecorded_draft(draft, fault))
            else:
                drafts.append((item.number, draft))
        for unkept, fault in failed:
            self._refuse(unkept, fault)
        owed = list(self._owed)
        try:
            entries = self._station.archive.append_all(
                [*owed, *(draft for _, draft in drafts)], self._station.recipe.station
            )
        except Exception as error:  # whatever it is, no unit may wait for its record for ever
            fault = fault_text(error)
            for number, draft in drafts:
                self._owed.append(draft if number is None else unrecorded_draft(draft, fault))
                self._refuse(number, fault)
            return
        for _ in owed:
            self._owed.popleft()
        for (number, _), entry in zip(drafts, entries[len(owed) :], strict=True):
            if number is not None:
                self._done(number, entry, "")
        if self._refusing and not failed:
            self._refusing = False
            self._alarm("")

    def _draft(self, item: _Item) -> tuple[Draft, str]:
        """The item's record, and why its frames could not be kept, if so."""
        if item.event:
            return item.event, ""
        assert item.account
        try:
            return self._station.draft(item.account, [kept.result() for kept in item.kept]), ""
        except Exception as error:  # the disk is full, most likely: whatever it is, the unit must not pass
            return self._station.draft(replace(item.account, seen=()), []), fault_text(error)

    def _refuse(self, number: int | None, fault: str) -> None:
        self._refusing = True
        self._alarm(fault)
        if number is not None:
            self._done(number, None, fault)


def _without_image(seen: Seen) -> Future[FrameRecord]:
    kept: Future[FrameRecord] = Future()
    kept.set_result(FrameRecord(seen.frame.camera, seen.frame.sequence, utc_text(seen.frame.captured_at)))
    return kept
