"""Pairs from the tables that a re-inspection writes (`result.parquet`), and the truth from a table beside them."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from inspection.equivalence.pairs import DEFECTIVE, GOOD, Pairs, PairsInvalid
from inspection.verdict import SHOWN, Reason

Side = Literal["old", "new"]
Row = dict[str, Any]
# What a package itself says of a unit; every other reason is a fault of the line or of the image.
DECIDED = frozenset({*SHOWN, Reason.SCORE_NOT_FINITE, Reason.MODEL_FAULT})
_TAKEN = (
    "record", "unit", "batch", "product", "cameras", "record_hash", "old_package", "old_outcome", "old_reason",
    "old_score", "old_review_limit", "old_reject_limit", "package", "package_name", "new_outcome", "new_reason",
    "new_score", "new_review_limit", "new_reject_limit", "truth", "defects",
)  # fmt: skip


@dataclass(frozen=True)
class Paired:
    """Pairs, how many units could not be paired by reason, and what was compared, for `compare`."""

    pairs: Pairs
    left_out: dict[str, int]
    about: dict[str, Any]


@dataclass(frozen=True)
class Decisions:
    """One side's decisions by unit, and what made them. `rows` have `outcome`, `reason`, `score` and what is known of
    the unit itself."""

    rows: dict[tuple[str, ...], Row]
    about: dict[str, Any]


@dataclass(frozen=True)
class Known:
    """What somebody knows of a unit."""

    truth: str
    defects: tuple[str, ...] = ()


def read_results(path: Path) -> pa.Table:
    """A `result.parquet`, with the columns that are needed here. Raises PairsInvalid."""
    try:
        names = pq.ParquetFile(path).schema_arrow.names
        table = pq.read_table(path, columns=[name for name in _TAKEN if name in names])
    except (OSError, pa.ArrowException) as error:
        raise PairsInvalid(f"{path} cannot be read as a table of results ({error}); give a result.parquet") from error
    if not {"unit", "new_outcome"} <= set(table.column_names):
        raise PairsInvalid(f"{path} has no columns unit and new_outcome; give a result.parquet of a re-inspection")
    return table


def packages_in(table: pa.Table) -> dict[str, str]:
    """The digest of each package of a table, and its name with version."""
    if "package" not in table.column_names:
        return {}
    names = table.column("package_name" if "package_name" in table.column_names else "package").to_pylist()
    return {str(digest): str(name) for digest, name in zip(table.column("package").to_pylist(), names, strict=True)}


def decisions(table: pa.Table, side: Side, package: str | None = None, source: str = "") -> Decisions:
    """What the recorded line (`old`) or a package (`new`) decided of each unit. `package` chooses one of a table's
    several, by its name with version or the beginning of its digest.

    Raises PairsInvalid where none or several fit, or where a unit is there twice.
    """
    digest = _chosen(packages_in(table), package, source)
    rows: dict[tuple[str, ...], Row] = {}
    limits: Counter[tuple[Any, Any]] = Counter()
    made_by: Counter[str] = Counter()
    for row in (row for part in table.to_batches(4096) for row in part.to_pylist()):
        if digest is not None and row["package"] != digest:
            continue
        key = _key(row)
        if key in rows:
            raise PairsInvalid(f"{source or 'the table'} has unit {row['unit']!r} twice; each unit is compared once")
        rows[key] = {
            **{name: row.get(name) for name in ("record", "unit", "batch", "product", "record_hash", "truth")},
            "cameras": tuple(row.get("cameras") or ()), "defects": tuple(row.get("defects") or ()),
            "outcome": row.get(f"{side}_outcome"), "reason": row.get(f"{side}_reason"),
            "score": row.get(f"{side}_score"),
        }  # fmt: skip
        limits[row.get(f"{side}_review_limit"), row.get(f"{side}_reject_limit")] += 1
        by = row.get("old_package") if side == "old" else row.get("package_name") or row.get("package")
        made_by[str(by) if by is not None else "unknown"] += 1
    one = next(iter(limits)) if len(limits) == 1 else (None, None)
    return Decisions(rows, {
        "source": source, "packages": dict(sorted(made_by.items())), "sha256": digest if side == "new" else None,
        "limits": None if None in one else {"review_limit": one[0], "reject_limit": one[1]},
    })  # fmt: skip


def pair(old: Decisions, new: Decisions, truth: Mapping[tuple[str, ...], Known] | None = None) -> Paired:
    """Both decisions of each unit, in the old one's order. Truth is the reviewers' where they decided, else that of
    `truth` (see `read_truth`).

    Left out, and counted: `only_old` and `only_new` (units of one side), `undecided` (a side says nothing),
    `line_fault` (the old decision is a reject for a fault of the line and says nothing of the unit; of these
    `line_fault_escapes` are defective and would pass now), `truth_unused` (entries of `truth` that name no unit here).
    An image that the new package cannot inspect counts as the REJECT that it is.

    Raises PairsInvalid where both sides are of different records or contradict each other about the truth, and where
    `truth` names a unit without its batch and several have that name.
    """
    columns: dict[str, list[Any]] = {name: [] for name in Pairs.__dataclass_fields__}
    left: Counter[str] = Counter(only_new=len(new.rows.keys() - old.rows.keys()))
    overruled, told = 0, _truth_of(old.rows, truth or {})
    left["truth_unused"] = len((truth or {}).keys() - {name for name, _ in told.values()})
    for key, before in old.rows.items():
        after = new.rows.get(key)
        if after is None:
            left["only_old"] += 1
            continue
        _same_record(before, after)
        known, differs = _known(before, after, told[key][1] if key in told else None)
        overruled += differs
        if before["outcome"] is None or after["outcome"] is None:
            left["undecided"] += 1
        elif before["reason"] is not None and before["reason"] not in DECIDED:
            left["line_fault"] += 1
            escapes = known is not None and known.truth == DEFECTIVE and after["outcome"] == "PASS"
            left["line_fault_escapes"] += escapes
        else:
            _add(columns, before, after, known)
    about = {"old": old.about, "new": new.about, "truth_overruled_by_reviewers": overruled}
    return Paired(Pairs(**columns), {name: count for name, count in sorted(left.items()) if count}, about)


def read_truth(path: Path) -> dict[tuple[str, ...], Known]:
    """A CSV or Parquet table with the columns `record` or `unit` (and `batch`), `truth` (good, defective, or empty for
    unknown) and `defects` (names; in CSV separated by semicolons). Raises PairsInvalid."""
    try:
        if path.suffix.lower() == ".parquet":
            rows = pq.read_table(path).to_pylist()
        else:
            texts = {name: pa.string() for name in ("record", "unit", "batch", "truth", "defects")}
            options = pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=[""])
            rows = pyarrow.csv.read_csv(path, convert_options=options).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise PairsInvalid(f"{path} cannot be read as a table of truth ({error}); give a CSV or Parquet") from error
    found: dict[tuple[str, ...], Known] = {}
    for number, row in enumerate(rows, 1):
        truth, names = row.get("truth"), row.get("defects") or ()
        if truth is None:
            continue
        defects = tuple(
            name.strip() for name in (names.split(";") if isinstance(names, str) else names) if name.strip()
        )
        if truth not in (GOOD, DEFECTIVE) or (truth == GOOD and defects):
            raise PairsInvalid(f"row {number} of {path} must say good, or defective with its defects, got {truth!r}")
        if row.get("record") is None and row.get("unit") is None:
            raise PairsInvalid(f"row {number} of {path} names no record and no unit")
        known, key = Known(truth, defects), _key(row)
        if found.setdefault(key, known) != known:
            raise PairsInvalid(f"row {number} of {path} says another thing of {key[-1]!r} than an earlier one")
    return found


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, so that an answer says what it was made from."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chosen(packages: Mapping[str, str], wanted: str | None, source: str) -> str | None:
    if wanted is None:
        if len(packages) > 1:
            names = ", ".join(packages.values())
            raise PairsInvalid(f"{source or 'the table'} has several packages; choose one of {names}")
        return next(iter(packages), None)
    fitting = [digest for digest, name in packages.items()
               if name.partition(" (")[0] == wanted.partition(" (")[0] or digest.startswith(wanted)]  # fmt: skip
    if len(fitting) != 1:
        names = ", ".join(packages.values()) or "none"
        raise PairsInvalid(f"{wanted!r} names {len(fitting)} packages of {source or 'the table'}; it has {names}")
    return fitting[0]


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row.get("record") is not None:
        return "record", str(row["record"])
    return "unit", str(row.get("batch") or ""), str(row["unit"])


def _truth_of(
    rows: Mapping[tuple[str, ...], Row], truth: Mapping[tuple[str, ...], Known]
) -> dict[tuple[str, ...], tuple[tuple[str, ...], Known]]:
    """Of each unit that `truth` names, the name and what is known: by record, by batch and unit, or by unit alone."""
    found = {}
    batches: dict[tuple[str, ...], set[str]] = {}
    for key, row in rows.items():
        batch, unit = str(row["batch"] or ""), str(row["unit"])
        for name in (key, ("unit", batch, unit), ("unit", "", unit)):
            if name in truth:
                found[key] = name, truth[name]
                batches.setdefault(name, set()).add(batch)
                break
    for name, those in batches.items():
        if len(those) > 1:
            raise PairsInvalid(f"the truth of {name[-1]!r} is given without a batch, and {len(those)} batches have one")
    return found


def _known(before: Row, after: Row, told: Known | None) -> tuple[Known | None, bool]:
    """What reviewers said, else what was told; and whether they say another thing than that."""
    said = [Known(row["truth"], row["defects"] if row["truth"] == DEFECTIVE else ()) for row in (before, after)
            if row["truth"] is not None]  # fmt: skip
    if len({one.truth for one in said}) > 1:
        raise PairsInvalid(
            f"the two tables contradict each other about unit {before['unit']!r}, good and defective; make the older "
            "one anew"
        )
    if not said:
        return told, False
    return said[-1], told is not None and told.truth != said[-1].truth


def _same_record(before: Row, after: Row) -> None:
    hashes = {row["record_hash"] for row in (before, after) if row["record_hash"] is not None}
    if before["unit"] != after["unit"] or len(hashes) > 1:
        raise PairsInvalid(f"record {before['record']} is not the same in both tables; both must be of one archive")


def _add(columns: dict[str, list[Any]], before: Row, after: Row, known: Known | None) -> None:
    values = {
        **{name: before[name] for name in ("record", "unit", "batch", "product")},
        "cameras": before["cameras"] or after["cameras"], "old_outcome": before["outcome"],
        "new_outcome": after["outcome"], "old_score": before["score"], "new_score": after["score"],
        "truth": known.truth if known else None, "defects": known.defects if known else (),
    }  # fmt: skip
    for name, value in values.items():
        columns[name].append(value)
