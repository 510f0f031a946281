"""Units that an old and a new package both decided, as columns."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from inspection.errors import InspectionError
from inspection.verdict import Outcome

OUTCOMES = (str(Outcome.PASS), str(Outcome.REVIEW), str(Outcome.REJECT))
GOOD, DEFECTIVE = "good", "defective"
_NEEDED = ("unit", "old_outcome", "new_outcome")
_WITHOUT: dict[str, Any] = {
    "record": None, "batch": None, "product": None, "cameras": (), "old_score": None, "new_score": None,
    "truth": None, "defects": (),
}  # fmt: skip


class PairsInvalid(InspectionError):
    """What was given is not two decisions of each of some units."""

    code = "pairs_invalid"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Equally long columns, one entry a unit. `record` is the unit's record (`station/sequence`) or None; outcomes are
    PASS, REVIEW or REJECT; scores are float64, NaN for none; `truth` is good, defective or None (nobody knows);
    `defects` are the names of what a defective unit shows.

    Raises PairsInvalid for columns of different lengths, for a value that is none of these, for a good unit with
    defects, and for a unit that is there twice: twice in `record`, or without one twice in `unit` and `batch`.
    """

    record: Sequence[str | None]
    unit: Sequence[str]
    batch: Sequence[str | None]
    product: Sequence[str | None]
    cameras: Sequence[Sequence[str]]
    old_outcome: Sequence[str]
    new_outcome: Sequence[str]
    old_score: Sequence[float | None] | np.ndarray
    new_score: Sequence[float | None] | np.ndarray
    truth: Sequence[str | None]
    defects: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise PairsInvalid(f"all columns must be equally long, got {told}")
        for name in ("old_outcome", "new_outcome"):
            _check(name, getattr(self, name), OUTCOMES)
        _check("truth", self.truth, (GOOD, DEFECTIVE, None))
        for name in ("old_score", "new_score"):
            object.__setattr__(self, name, _scores(name, getattr(self, name)))
        for unit, truth, defects in zip(self.unit, self.truth, self.defects, strict=True):
            if truth == GOOD and len(defects):
                raise PairsInvalid(f"unit {unit!r} is said to be good and to show {defects[0]!r}; it cannot be both")
        self._once()

    def __len__(self) -> int:
        return len(self.unit)

    def _once(self) -> None:
        seen: set[object] = set()
        for record, unit, batch in zip(self.record, self.unit, self.batch, strict=True):
            key = record if record is not None else (unit, batch)
            if key in seen:
                raise PairsInvalid(f"unit {unit!r} is there twice (record {record}); each unit is compared once")
            seen.add(key)

    def place(self, at: int) -> dict[str, Any]:
        """What a person needs to find the unit at this index, and to see what became of it, as plain JSON values."""
        return {
            "record": self.record[at], "unit": str(self.unit[at]), "batch": self.batch[at],
            "old": str(self.old_outcome[at]), "new": str(self.new_outcome[at]),
            "old_score": _number(self.old_score[at]),
            "new_score": _number(self.new_score[at]), "truth": self.truth[at], "defects": sorted(set(self.defects[at])),
        }  # fmt: skip


def pairs_of(table: pa.Table) -> Pairs:
    """The columns of a table with their names; `unit`, `old_outcome` and `new_outcome` are needed, of the others a
    missing one is empty, and further ones are let alone. Raises PairsInvalid."""
    lacking = [name for name in _NEEDED if name not in table.column_names]
    if lacking:
        raise PairsInvalid(f"the table lacks the column {lacking[0]!r}; it has {', '.join(table.column_names)}")
    rows = table.num_rows
    columns = {
        field.name: table.column(field.name).to_pylist()
        if field.name in table.column_names
        else [_WITHOUT[field.name]] * rows
        for field in fields(Pairs)
    }
    for name in ("cameras", "defects"):
        columns[name] = [tuple(value or ()) for value in columns[name]]
    return Pairs(**columns)


def _check(name: str, values: Sequence[object], known: Collection[object]) -> None:
    strange = set(values) - set(known)
    if strange:
        wanted = ", ".join(str(one) for one in known if one is not None)
        raise PairsInvalid(f"{name} must be one of {wanted}, got {min(map(str, strange))!r}")


def _scores(name: str, values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    try:
        scores = np.asarray([math.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PairsInvalid(f"{name} must be numbers ({error})") from error
    if np.isinf(scores).any():
        raise PairsInvalid(f"{name} must be finite, or none where there is no score, got an infinite one")
    return scores


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
