"""Every output is told of every unit, in order, each in a thread of its own, and each acknowledgement is timed.

A unit that is to pass passes only where every gate has acknowledged it in time. A gate that cannot be reached keeps
nobody waiting: what comes meanwhile is not delivered, and it is asked again every second.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from inspection.recipe import OutputConfig
from inspection.records import utc_text
from inspection.station import Disposition, fault_text
from inspection.verdict import Outcome, Reason
from serve.outputs import make_output
from serve.outputs.output import Output, OutputFault, Signal, StationState
from serve.wall_clock import wall_time_of

_BEAT_S = 1.0  # how often an output is shown the station's state, and how often a lost one is asked again
_STALE_S = 1.0  # so long after its deadline a signal is not worth waiting for a receiver that does not acknowledge
_STOP_S = 5.0


@dataclass
class _Delivery:
    """A unit's signal on its way; `due` is its deadline on the monotonic clock."""

    signal: Signal
    disposition: Disposition
    due: float
    gates: set[str]
    faults: list[str] = field(default_factory=list)


class Deliveries:
    """Tells outputs. `told(disposition)` is called for each unit, in order, once every gate has acknowledged it or has
    failed to: a PASS that was not delivered in time is a REJECT then. `alarm(name, why)` is told of an output that is
    lost, and "" once it is back; `timed(name, seconds)` of each acknowledgement. None of these may wait.
    """

    def __init__(
        self,
        configs: Sequence[OutputConfig],
        recipe_file: Path,
        state: Callable[[], StationState],
        told: Callable[[Disposition], None],
        *,
        alarm: Callable[[str, str], None] = lambda _name, _why: None,
        timed: Callable[[str, float], None] = lambda _name, _seconds: None,
    ) -> None:
        """Make them; nothing is connected yet. Raises ConfigInvalid."""
        self._told = told
        self._gates = {config.name for config in configs if config.gate}
        self._waiting: deque[_Delivery] = deque()
        self._lock = threading.Lock()
        self._number = 0
        self._outputs = [
            _OutputThread(config.name, make_output(config, recipe_file), state, self._done, alarm, timed)
            for config in configs
        ]

    def start(self) -> None:
        """Connect in the background: until an output is there, nothing is delivered to it, and it is an alarm."""
        for output in self._outputs:
            output.start()

    def send(self, disposition: Disposition, due: float) -> None:
        """Tell of a unit, without waiting."""
        with self._lock:
            self._number += 1
            delivery = _Delivery(_signal(self._number, disposition), disposition, due, set(self._gates))
            self._waiting.append(delivery)
        for output in self._outputs:
            output.put(delivery)
        self._finish()

    def changed(self) -> None:
        """The station's state is another: show it soon."""
        for output in self._outputs:
            output.changed()

    def flush(self) -> None:
        """Wait until every unit that was sent is told: until every output has acknowledged, or timed out."""
        for output in self._outputs:
            output.flush()

    def stop(self) -> None:
        """Tell what waits, then that the station is off."""
        for output in self._outputs:
            output.end()
        for output in self._outputs:
            output.join()

    def _done(self, name: str, delivery: _Delivery, fault: str) -> None:
        if name not in self._gates:
            return
        with self._lock:
            delivery.gates.discard(name)
            if fault:
                delivery.faults.append(f"{name}: {fault}")
        self._finish()

    def _finish(self) -> None:
        with self._lock:
            while self._waiting and not self._waiting[0].gates:
                self._told(_delivered(self._waiting.popleft()))


class _OutputThread:
    """One output, its thread and what waits for it."""

    def __init__(
        self,
        name: str,
        output: Output,
        state: Callable[[], StationState],
        done: Callable[[str, _Delivery, str], None],
        alarm: Callable[[str, str], None],
        timed: Callable[[str, float], None],
    ) -> None:
        self._name, self._output, self._state = name, output, state
        self._done, self._alarm, self._timed = done, alarm, timed
        self._items: queue.SimpleQueue[_Delivery | Callable[[], None] | None] = queue.SimpleQueue()
        self._lost = "it is not connected yet"  # why nothing is sent to it
        self._unacknowledged = False  # it can be reached, and does not acknowledge
        self._alarmed: str | None = None
        self._opened = False
        self._shown = -_BEAT_S
        self._thread = threading.Thread(target=self._work, name=f"output {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, delivery: _Delivery) -> None:
        self._items.put(delivery)

    def changed(self) -> None:
        self._items.put(self._show)

    def flush(self) -> None:
        reached = threading.Event()
        self._items.put(reached.set)
        while self._thread.is_alive() and not reached.wait(0.1):
            pass

    def end(self) -> None:
        self._items.put(None)

    def join(self) -> None:
        self._thread.join(_STOP_S)

    def _work(self) -> None:
        self._show()
        while True:
            try:
                item = self._items.get(timeout=max(0.0, self._shown + _BEAT_S - time.monotonic()))
            except queue.Empty:
                self._show()
                continue
            if item is None:
                break
            if isinstance(item, _Delivery):
                self._deliver(item)
            else:
                item()
            if time.monotonic() > self._shown + _BEAT_S:
                self._show()
        self._output.close()

    def _deliver(self, delivery: _Delivery) -> None:
        began, signal = time.monotonic(), delivery.signal
        if not self._lost and self._unacknowledged and began > delivery.due + _STALE_S:
            self._done(self._name, delivery, "not sent, too late: those before it were not acknowledged")
            return
        if not self._lost and signal.outcome is Outcome.PASS and began > delivery.due:
            # Whatever stands at the ejector now, it is another unit: nobody may be let through for this one.
            signal = replace(signal, outcome=Outcome.REJECT, reason=Reason.NOT_DELIVERED)
        if not self._lost:
            self._try(lambda: self._output.send(signal))
            self._unacknowledged = bool(self._lost)
            self._tell_alarm()
        took = time.monotonic() - began
        fault = self._lost
        if not fault:
            self._timed(self._name, took)
            if began + took > delivery.due:
                fault = f"acknowledged {(began + took - delivery.due) * 1000:.0f} ms after the deadline"
        self._done(self._name, delivery, fault)

    def _show(self) -> None:
        """Show the state: a heartbeat, by which a lost output is found again."""
        self._try(self._show_state)
        self._shown = time.monotonic()
        if not self._unacknowledged:  # which only an acknowledged signal disproves
            self._tell_alarm()

    def _show_state(self) -> None:
        state = self._state()
        if self._opened:
            self._output.show(state)
        else:
            self._output.open(state)
            self._opened = True

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OutputFault as error:
            self._lost = str(error)
        except Exception as error:  # whatever it is, the others must be told: it is opened anew
            self._lost = fault_text(error)
            self._output.close()
            self._opened = False
        else:
            self._lost = ""

    def _tell_alarm(self) -> None:
        if self._alarmed is None or bool(self._lost) != bool(self._alarmed):
            self._alarmed = self._lost
            self._alarm(self._name, self._lost)


def _signal(number: int, disposition: Disposition) -> Signal:
    entry = disposition.entry
    return Signal(
        number, disposition.unit, disposition.outcome, disposition.reason, entry.score if entry else None,
        utc_text(wall_time_of(disposition.opened)), entry.name if entry else None,
    )  # fmt: skip


def _delivered(delivery: _Delivery) -> Disposition:
    """What became of the unit: without every gate's acknowledgement it was not let through."""
    told = delivery.disposition
    if told.outcome is not Outcome.PASS or not delivery.faults:
        return told
    return replace(told, outcome=Outcome.REJECT, reason=Reason.NOT_DELIVERED, message="; ".join(delivery.faults))
