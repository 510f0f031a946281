"""Units that two packages decided, for tests."""

from collections.abc import Sequence
from typing import Any

from inspection.equivalence.pairs import Pairs

Row = tuple[str, str, str | None]  # old outcome, new outcome, truth


def paired(rows: Sequence[Row], **columns: Any) -> Pairs:
    """One unit for each row, named by its place; other columns as given, else plain ones."""
    size = len(rows)
    usual: dict[str, Any] = {
        "record": [f"line-1/{at}" for at in range(size)], "unit": [f"unit {at}" for at in range(size)],
        "batch": ["B1"] * size, "product": ["capsule"] * size, "cameras": [("top",)] * size,
        "old_score": [float(at) for at in range(size)], "new_score": [float(at) + 0.5 for at in range(size)],
        "defects": [("crack",) if truth == "defective" else () for _, _, truth in rows],
    }  # fmt: skip
    old, new, truth = ([row[place] for row in rows] for place in range(3))
    return Pairs(**(usual | {"old_outcome": old, "new_outcome": new, "truth": truth} | columns))


def known(defective: int, good: int, lost: int = 0, false: int = 0) -> list[Row]:
    """So many units of known truth, decided rightly by the old package; the new one loses and falsely stops some."""
    return (
        [("REJECT", "PASS", "defective")] * lost
        + [("REJECT", "REJECT", "defective")] * (defective - lost)
        + [("PASS", "REVIEW", "good")] * false
        + [("PASS", "PASS", "good")] * (good - false)
    )
