"""The retention rule: what is removed after how long, by whom, with a signed record of each removal.

Files (images, heatmaps, thumbnails) are removed by the outcome of their unit and its age; records by age alone, from
the beginning of each station's chain on. The chain `audit` is never shortened.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection, func, select

from inspection.accounts.roles import Permission
from inspection.archive import Archive, Writing
from inspection.config import read_config
from inspection.guards import lifted
from inspection.records import AUDIT, Draft, Entry, utc_text
from inspection.registry.items import PREFIX, contents_of
from inspection.retention_marks import REMOVED, Kept, kept_marks, removal_digest
from inspection.schema import entries
from inspection.signatures import Signer, signed_statement
from inspection.signing import SigningKey
from inspection.verdict import Outcome

FileKind = Literal["image", "heatmap", "thumbnail"]
FILE_KINDS: tuple[FileKind, ...] = ("image", "heatmap", "thumbnail")
_PAGE = 5000


class Rule(BaseModel):
    """Remove a kind of file of units with an outcome, or whole records (`kind: record`), after so many days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["image", "heatmap", "thumbnail", "record"]
    outcome: Outcome | None = None
    after_days: int = Field(ge=1, le=36500)

    @model_validator(mode="after")
    def _outcome_of_files(self) -> "Rule":
        if (self.kind == "record") != (self.outcome is None):
            msg = "a rule for files has an `outcome`, and one for records has none: their chain is cut as a whole"
            raise ValueError(msg)
        return self


class Rules(BaseModel):
    """A file of rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _records_last(self) -> "Rules":
        keys = [(rule.kind, rule.outcome) for rule in self.rules]
        if len(set(keys)) < len(keys):
            msg = "there is more than one rule for the same kind and outcome"
            raise ValueError(msg)
        return self


@dataclass
class Removal:
    """What one rule removes: everything before `before` (UTC), as it was at `planned_at`. `names` are files; `chains`
    the last record removed of each station, its sequence and hash; `records` how many."""

    rule: Rule
    before: str
    planned_at: str
    names: set[str] = field(default_factory=set)
    chains: dict[str, tuple[int, str]] = field(default_factory=dict)
    records: int = 0


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules in a YAML file. Raises ConfigInvalid."""
    return read_config(path, Rules).rules


def plan_removals(archive: Archive, rules: tuple[Rule, ...], now: datetime) -> list[Removal]:
    """What the rules remove now; nothing is changed. Raises ArchiveFault."""
    kept, planned_at = kept_marks(archive), utc_text()
    with archive.reader() as connection:
        removals = [Removal(rule, utc_text(now - timedelta(days=rule.after_days)), planned_at) for rule in rules]
        for removal in removals:
            _plan(connection, removal, kept)
    wanted: set[str] = set().union(*(removal.names for removal in removals))
    there = {name for name in archive.images.names() if name in wanted} if wanted else wanted
    for removal in removals:
        removal.names &= there  # the others were removed before: a signed record does not count them again
    return removals


def apply_removals(archive: Archive, key: SigningKey, removals: list[Removal], signer: Signer, why: str) -> list[Entry]:
    """Remove what was planned. Each removal is on record, signed, before the first file is gone. Raises
    SignatureRefused, SignInRefused, ArchiveFault and OutputNotWritable."""
    user = signer.prove(Permission.RETAIN, why)
    done = []
    for removal in removals:
        if not removal.names and not removal.records:
            continue
        with archive.writing() as write:
            _spare_new(write.connection, removal)
            said = _described(removal)
            statement = signed_statement(key, user, "retention", removal_digest(said), "removed", why)
            details = {"by": user.name, "why": why, "subject": "retention", "statement": statement} | said
            done += write.append([Draft("event", reason=REMOVED, details=details)], AUDIT)
            if removal.chains:
                _delete(write, removal)
        for name in sorted(removal.names):
            archive.images.delete(name)
    return done


def _plan(connection: Connection, removal: Removal, kept: Kept) -> None:
    rule, before = removal.rule, removal.before
    if rule.kind == "record":
        _plan_records(connection, removal)
        covered = removal.chains
        for row in _rows(connection, before):
            if row["sequence"] <= covered.get(row["station"], (0, ""))[0]:
                removal.names.update(name for _, name in files_of(row["frames"]))
    else:
        for row in _rows(connection, before):
            if row["outcome"] == rule.outcome:
                removal.names.update(name for kind, name in files_of(row["frames"]) if kind == rule.kind)
    if removal.names:
        _spare_shared(connection, removal, kept)


def _plan_records(connection: Connection, removal: Removal) -> None:
    table = entries.c
    for station in connection.scalars(select(table.station).distinct()).all():
        if station == AUDIT:
            continue
        young = select(func.min(table.sequence)).where(table.station == station, table.recorded_at >= removal.before)
        head = connection.scalar(select(func.max(table.sequence)).where(table.station == station))
        last = min(head, connection.scalar(young) or head) - 1  # the chain's end always stays
        row = connection.execute(select(table.hash).where(table.station == station, table.sequence == last)).first()
        if row:
            removal.chains[station] = (last, row.hash)
            count = select(func.count()).where(table.station == station, table.sequence <= last)
            removal.records += connection.execute(count).scalar_one()


def _spare_shared(connection: Connection, removal: Removal, kept: Kept) -> None:
    """The same content is one file: what a record needs that neither this rule covers nor an earlier removal did
    stays."""
    rule = removal.rule
    controlled = select(entries).where(entries.c.kind == "event", entries.c.reason == f"{PREFIX}registered")
    for row in connection.execute(controlled).mappings():
        removal.names.difference_update(contents_of(dict(row)))  # a challenge kit may have a unit's image
    for row in _rows(connection, "~"):
        covered = row["sequence"] <= removal.chains.get(row["station"], (0, ""))[0]
        old = row["recorded_at"] < removal.before and row["outcome"] == rule.outcome
        for kind, name in files_of(row["frames"]):
            if not (covered or (old and kind == rule.kind) or kept.may_be_gone(row, kind)):
                removal.names.discard(name)


def _spare_new(connection: Connection, removal: Removal) -> None:
    """What came on record since the removal was planned, and has the same content, stays."""
    since = select(entries.c.frames).where(entries.c.recorded_at >= removal.planned_at, entries.c.frames != "[]")
    for frames in connection.scalars(since):
        removal.names.difference_update(name for _, name in files_of(frames))


def _rows(connection: Connection, before: str) -> Iterator[Any]:
    columns = [entries.c[name] for name in ("station", "sequence", "recorded_at", "outcome", "frames")]
    query = select(*columns).where(entries.c.recorded_at < before, entries.c.frames != "[]")
    yield from connection.execution_options(yield_per=_PAGE).execute(query).mappings()


def files_of(frames: str) -> list[tuple[str, str]]:
    """Kind and name of each file that a record's frames name."""
    found = json.loads(frames)
    return [(kind, frame[kind]) for frame in found for kind in FILE_KINDS if frame.get(kind) is not None]


def _described(removal: Removal) -> dict[str, Any]:
    rule = removal.rule
    said: dict[str, Any] = {"kind": rule.kind, "before": removal.before, "after_days": rule.after_days,
                            "files": len(removal.names)}  # fmt: skip
    if rule.kind == "record":
        return said | {"chains": {name: list(end) for name, end in removal.chains.items()}, "records": removal.records}
    return said | {"outcome": str(rule.outcome)}


def _delete(write: Writing, removal: Removal) -> None:
    with lifted(write.connection):
        for station, (last, _) in removal.chains.items():
            gone = entries.delete().where(entries.c.station == station, entries.c.sequence <= last)
            write.connection.execute(gone)
