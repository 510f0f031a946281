"""Whether a station may produce: what its chain says of its last challenge, and what quality has signed instead."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from inspection.accounts.roles import Permission
from inspection.archive import Archive
from inspection.batch_account import STARTED as BATCH_STARTED
from inspection.batch_account import STOPPED as BATCH_STOPPED
from inspection.challenge.kit import KitUnusable, approved_kit
from inspection.challenge.run import FAILED, OVERRIDDEN, PASSED, STARTED
from inspection.errors import InspectionError
from inspection.recipe import ChallengeConfig
from inspection.records import Entry, canonical_json, from_row, utc_text
from inspection.registry.items import read_versions
from inspection.schema import entries, station_of_event
from inspection.signatures import Signer, signed_statement, statement_fault
from inspection.signing import SigningKey
from inspection.station import Station

_SIGNED = ("station", "every", "batch", "kit_name", "recipe_sha256", "given_at")


class ChallengeDue(InspectionError):
    """Production is blocked until the challenge kit is passed."""

    code = "challenge_due"


@dataclass(frozen=True)
class Clearance:
    """Whether the station may produce, by the record `entry`; if not, `why` says in one sentence what is needed.
    `age_s` is how long ago it was given."""

    why: str
    entry: Entry | None = None
    age_s: float = 0.0

    @property
    def overridden(self) -> bool:
        """Whether it is by a signed override, and not by a passed run."""
        return self.entry is not None and self.entry.reason == OVERRIDDEN

    def described(self) -> dict[str, Any]:
        """As a batch's start has it on record."""
        assert self.entry
        said = {"record": self.entry.name, "at": self.entry.recorded_at, "overridden": self.overridden}
        details = self.entry.details
        return said | {key: details[key] for key in ("by", "why", "kit", "recipe_sha256") if key in details}


def clearance(
    archive: Archive, station: str, config: ChallengeConfig, recipe_sha256: str, batch: str | None = None,
    now: str | None = None, *, running: bool = False,
) -> Clearance:  # fmt: skip
    """What the records say now. For `every: batch` a run counts for one batch, the next one that begins, and an
    override for the one that it names; `running` asks whether the batch that runs may go on, which a run within it that
    is not passed forbids. For `every: shift` both count for so many hours. The last run alone counts, of this very
    recipe and of the kit that is approved now. Raises ArchiveFault."""
    last = _last(archive, station, (STARTED, PASSED, FAILED, OVERRIDDEN))
    if last is None:
        return Clearance(f"challenge kit {config.kit} was not run yet; run it first")
    if config.every == "batch" and running:
        mark = _last(archive, station, (BATCH_STARTED,))
        if mark is not None and mark.batch == batch and mark.sequence > last.sequence:
            said = mark.details.get("challenge") or {}
            if said.get("recipe_sha256") == recipe_sha256:
                return Clearance("", last)  # it was cleared when it began, and nothing was run since
            return Clearance(f"batch {batch} was begun with another recipe or package; run challenge kit {config.kit}")
    details = last.details
    if details.get("recipe_sha256") != recipe_sha256:
        return Clearance(f"challenge kit {config.kit} was not run with this recipe and its packages; run it first")
    if last.reason == FAILED:
        fits, of = details.get("as_registered"), details.get("of")
        return Clearance(
            f"challenge kit {config.kit} was not passed ({fits} of {of} units as registered, {last.name}); find out "
            "why, and run it again"
        )
    if last.reason == STARTED:
        return Clearance(f"the run {last.name} of challenge kit {config.kit} has not ended; end it, or run it again")
    if last.reason == OVERRIDDEN:
        if override_fault(last):
            return Clearance(f"the override {last.name} does not hold; run the challenge kit")
    else:
        try:
            version = approved_kit(read_versions(archive), config)
        except KitUnusable as error:
            return Clearance(str(error))
        if details.get("kit", {}).get("digest") != version.digest:
            return Clearance(f"{version.label} is approved, and another one was run last; run it first")
    age_s = _seconds(last.recorded_at, now or utc_text())
    if config.every == "shift":
        if not 0 <= age_s < config.shift_hours * 3600:
            return Clearance(
                f"the last {config.shift_hours:g} hours' challenge is over; run challenge kit {config.kit}"
            )
        return Clearance("", last, age_s)
    mark = None if running else _last(archive, station, (BATCH_STARTED, BATCH_STOPPED))
    if mark is not None and mark.sequence > last.sequence:
        what = "began" if mark.reason == BATCH_STARTED else "ended"
        return Clearance(f"challenge kit {config.kit} was not run since batch {mark.batch} {what}; run it first")
    if last.reason == OVERRIDDEN and details.get("batch") != batch:
        return Clearance(f"the override {last.name} is for batch {details.get('batch')} alone; run the challenge kit")
    return Clearance("", last, age_s)


def override(
    station: Station, key: SigningKey, config: ChallengeConfig, recipe_sha256: str, signer: Signer, why: str,
    batch: str | None = None,
) -> Entry:  # fmt: skip
    """Let the station produce without a passed run: for the one `batch` that is to begin, or for a shift. Somebody who
    may approve signs it. Raises ChallengeDue, SignatureRefused, SignInRefused, ArchiveFault; then nothing changed."""
    if (config.every == "batch") != (batch is not None):
        wanted = "names the batch that it is for" if config.every == "batch" else "is for a shift, and names no batch"
        raise ChallengeDue(f"an override with this recipe {wanted}")
    user = signer.prove(Permission.APPROVE, why)
    said: dict[str, Any] = {
        "station": station.recipe.station, "every": config.every, "batch": batch, "kit_name": config.kit,
        "recipe_sha256": recipe_sha256, "given_at": utc_text(), "hours": config.shift_hours,
    }  # fmt: skip
    subject = f"challenge of {station.recipe.station}"
    statement = signed_statement(key, user, subject, override_digest(said), "overridden", why)
    return station.note(OVERRIDDEN, by=user.name, why=why, subject=subject, statement=statement, **said)


def override_digest(details: Mapping[str, Any]) -> str:
    """SHA-256 in hex of what an override is for, which its signature is bound to."""
    return hashlib.sha256(canonical_json({key: details[key] for key in _SIGNED}).encode()).hexdigest()


def override_fault(entry: Entry, keys: Collection[str] = ()) -> str:
    """Why an override is not what somebody signed, or an empty text."""
    try:
        subject, digest = f"challenge of {entry.station}", override_digest(entry.details)
        if entry.details["station"] != entry.station:
            return "is of another station"
    except (KeyError, TypeError, ValueError):
        return "is no override"
    return statement_fault(entry.details, subject, digest, "overridden", keys)


def challenge_events(archive: Archive, limit: int) -> list[Entry]:
    """The last runs and overrides of all stations, the newest first. Raises ArchiveFault."""
    table = entries.c
    query = select(entries).where(table.kind == "event", table.reason.in_((STARTED, PASSED, FAILED, OVERRIDDEN)))
    with archive.reader() as connection:
        found = connection.execute(query.order_by(table.recorded_at.desc(), table.sequence.desc()).limit(limit))
        return [from_row(row) for row in found.mappings()]


def _last(archive: Archive, station: str, reasons: Collection[str]) -> Entry | None:
    table = entries.c
    query = select(table.sequence).where(
        table.kind == "event", table.reason.in_(tuple(reasons)), station_of_event == station
    )
    with archive.reader() as connection:
        sequence = connection.scalar(query.order_by(table.sequence.desc()).limit(1))
    return archive.get(station, sequence) if sequence is not None else None


def _seconds(before: str, after: str) -> float:
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()
