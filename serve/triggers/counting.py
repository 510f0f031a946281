"""From what a PLC shows to units: pure, so that every sequence of readings can be tried."""

from typing import NamedTuple

from serve.triggers.trigger import TriggerFault


class Crossing(NamedTuple):
    """A unit that an encoder's movement opened: its number, and how far between the two readings, 0 to 1, it lay."""

    number: int
    share: float


def step(before: int, after: int, bits: int) -> int:
    """The shortest way, -2^(bits-1) to 2^(bits-1)-1, from one reading of a counter of so many bits to another."""
    half = 1 << (bits - 1)
    return (after - before + half) % (2 * half) - half


class PitchCounter:
    """Opens a unit wherever an encoder first reaches `offset` plus a multiple of `pitch` counts.

    What was reached once opens nothing again, so neither moving back nor trembling at an edge opens a unit twice. As
    nothing opens until the belt is where it was before, a count that was set back must not look like a belt that went
    back: between two readings a belt goes at most `most` pitches on or half a one back, in all at most `most` back.
    Anything else is a fault, and after it the count that is read then is where the belt is.
    """

    def __init__(self, pitch: int, offset: int, bits: int, most: int) -> None:
        self._pitch, self._offset, self._bits, self._most = pitch, offset, bits, most
        self._most_back = max(1, pitch // 2)
        self._raw: int | None = None
        self._position = 0  # the reading without wrap-around
        self._highest = 0  # the last pitch that was reached
        self.count = 0

    def resume(self, raw: int) -> None:
        """The first reading, or the first after nobody looked: pitches passed meanwhile are counted, and not opened."""
        if self._raw is not None and step(self._raw, raw, self._bits) >= -self._most_back:
            self._move(raw)
            self._reach()
        else:
            self._position, self._highest = raw, self._pitch_at(raw)
        self._raw = raw

    def read(self, raw: int) -> list[Crossing]:
        """The units that this reading opens, in order. Raises TriggerFault where the count jumped; to be resumed."""
        assert self._raw is not None, "resume comes first"
        before, was = self._position, self._raw
        moved = self._move(raw)
        if not -self._most_back <= moved <= self._most * self._pitch:
            self._raw = None
            raise TriggerFault(
                f"the encoder went from {was} to {raw} between two looks; a belt goes at most {self._most} units on "
                "or half a one back; units may have gone by unseen"
            )
        if self._highest - self._pitch_at(self._position) > self._most:
            self._raw = None
            raise TriggerFault(
                f"the encoder went back more than {self._most} units, to {raw}, and opens none until it is where it "
                "was; if it counts down while the belt runs forward, turn its direction round"
            )
        self._raw = raw
        first, highest = self.count + 1, self._highest
        return [
            Crossing(first + new, (self._offset + (highest + 1 + new) * self._pitch - before) / moved)
            for new in range(self._reach())
        ]

    def _move(self, raw: int) -> int:
        assert self._raw is not None
        moved = step(self._raw, raw, self._bits)
        self._position += moved
        return moved

    def _reach(self) -> int:
        """How many pitches lie behind now that never did before."""
        new = max(0, self._pitch_at(self._position) - self._highest)
        self._highest += new
        self.count += new
        return new

    def _pitch_at(self, position: int) -> int:
        return (position - self._offset) // self._pitch


class EdgeCounter:
    """Opens a unit at each rising edge of a bit or, where the PLC counts them, at each advance of its counter.

    The counter then is the truth: a pulse too short to be seen is counted, and a pulse that is not counted by its end
    is a fault. An advance of more than `most` between two looks is no count of units: the PLC was restarted. The bit is
    to be read before the counter, so that whatever the bit shows is counted already.
    """

    def __init__(self, bits: int, most: int) -> None:
        self._bits, self._most = bits, most
        self._bit = False
        self._counter: int | None = None
        self._count: int | None = None
        self._counted = self._owed = False

    def resume(self, bit: bool, counter: int | None) -> None:
        """The first look, or the first after nobody looked. What went by meanwhile is a gap in the count."""
        self._bit, self._counted, self._owed = bit, True, False
        if counter is not None and self._count is None:
            self._count = counter
        elif counter is not None and self._count is not None and self._counter is not None:
            self._count += max(0, step(self._counter, counter, self._bits))
        self._counter = counter

    def look(self, bit: bool, counter: int | None) -> tuple[bool, int | None]:
        """Whether a unit came by, and the count of the latest. Raises TriggerFault; to be resumed."""
        rising, falling = bit and not self._bit, self._bit and not bit
        self._bit = bit
        if counter is None or self._counter is None or self._count is None:
            return rising, None
        advance = step(self._counter, counter, self._bits)
        if not 0 <= advance <= self._most:
            was, self._counter = self._counter, None
            raise TriggerFault(
                f"the unit counter went from {was} to {counter} between two looks; units may have gone by unseen"
            )
        self._counter = counter
        self._count += advance
        # Counted in this look, or in the one before, between whose reading of the bit and of the counter the bit rose.
        self._owed = (self._owed or (rising and not self._counted)) and not advance
        self._counted = advance > 0
        if falling and self._owed:
            self._owed = False
            raise TriggerFault(f"the trigger bit rose and fell, and the unit counter stayed at {counter}")
        return advance > 0, self._count
