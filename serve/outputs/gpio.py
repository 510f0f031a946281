"""Digital lines as files: a stub for a plant's own driver of digital outputs."""

import time
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from inspection.verdict import Outcome
from serve.outputs.output import Output, OutputFault, OutputOptions, OutputUnavailable, Signal, StationState

PASS, REJECT, REVIEW, RUNNING, HEARTBEAT = "pass", "reject", "review", "running", "heartbeat"
_SAFE = {PASS: False, REVIEW: False, REJECT: True}


class GpioOptions(OutputOptions):
    """`path` is a folder with one file per line. With `pulse_ms` a verdict's line falls again after so long, and only
    then does `send` return; without, it holds until the next unit. `timeout_ms` has no use here."""

    path: Path
    pulse_ms: int | None = Field(default=None, ge=1, le=10_000)


class GpioOutput(Output):
    """Files `pass`, `reject`, `review`, `running` and `heartbeat` that hold 0 or 1. Acknowledged means read back.

    `reject` is up for every unit that does not pass; `review` beside it where a person is to decide.
    """

    Options: ClassVar[type[OutputOptions]] = GpioOptions

    def __init__(self, name: str, options: OutputOptions, folder: Path) -> None:
        assert isinstance(options, GpioOptions)
        self._name, self._pulse_ms = name, options.pulse_ms
        self._folder = folder / options.path
        self._beat, self._is_open = False, False

    def open(self, state: StationState) -> None:
        if not self._folder.is_dir():
            raise OutputUnavailable(f"output {self._name!r}: {self._folder} is not a folder; give that of the lines")
        self._is_open = True
        try:
            self._set(_SAFE)
            self.show(state)
        except OutputFault as error:
            self.close()
            raise OutputUnavailable(str(error)) from error

    def send(self, signal: Signal) -> None:
        down = dict.fromkeys(_SAFE, False)
        passes = signal.outcome is Outcome.PASS
        up = {PASS: True} if passes else {REVIEW: signal.outcome is Outcome.REVIEW, REJECT: True}
        try:
            # All fall first: a receiver sees an edge for each unit, and never a permit beside a rejection.
            self._set(down)
            self._set(up)
            if self._pulse_ms is not None:
                time.sleep(self._pulse_ms / 1000)
                self._set(down)
        except OutputFault:
            self._withdraw()
            raise

    def show(self, state: StationState) -> None:
        self._beat = not self._beat
        safe = {} if state.running else _SAFE
        try:
            self._set(safe | {RUNNING: state.running, HEARTBEAT: self._beat})
        except OutputFault:
            self._withdraw()
            raise

    def close(self) -> None:
        if self._is_open:
            self._withdraw()
        self._is_open = False

    def _withdraw(self) -> None:
        for line, value in (_SAFE | {RUNNING: False}).items():
            try:
                self._set({line: value})
            except OutputFault:
                continue  # the other lines are still to be put right

    def _set(self, lines: dict[str, bool]) -> None:
        if not self._is_open:
            raise OutputFault(f"output {self._name!r}: {self._folder} is not written to: the output is not open")
        for line, value in lines.items():
            path, text = self._folder / line, str(int(value))
            beside = self._folder / f".{line}.part"
            try:
                beside.write_text(text)
                beside.replace(path)
                found = path.read_text()
            except (OSError, ValueError) as error:
                raise OutputFault(f"output {self._name!r}: {path} cannot be set to {text} ({error})") from error
            if found != text:
                raise OutputFault(f"output {self._name!r}: {path} was set to {text} and reads {found[:20]!r}")
