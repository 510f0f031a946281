"""Each package of a re-inspection compared with what was recorded, by `inspection.equivalence`, from the run's table.

The comparison holds all its units in memory; a run does not, however many it has. Above `MOST_COMPARED` it is left to
`inspection compare`, which reads the same table.
"""

from pathlib import Path
from typing import Any

from inspection.equivalence.comparison import compare
from inspection.equivalence.pairs import PairsInvalid
from inspection.equivalence.results_table import decisions, pair, read_results

MOST_COMPARED = 20_000


def comparison_with_records(table: Path, package: str, units: int) -> dict[str, Any] | None:
    """The answer of `compare` for the package with this digest, or `{"not_compared": why}`; None where nothing was
    inspected. `units` are those of the run."""
    if units == 0:
        return None
    if units > MOST_COMPARED:
        return {"not_compared": f"more than {MOST_COMPARED:,} units; run `inspection compare` on {table.name}"}
    try:
        read = read_results(table)
        paired = pair(decisions(read, "old", package, table.name), decisions(read, "new", package, table.name))
        return compare(paired.pairs, left_out=paired.left_out, about=paired.about).plain()
    except PairsInvalid as error:
        return {"not_compared": str(error)}
