"""The review of the audit trail (EU GMP Annex 11 §9): somebody of quality signs that they have looked at it up to a
record. The signature is on the trail itself."""

from dataclasses import dataclass

from sqlalchemy import select

from inspection.archive import Archive
from inspection.records import AUDIT, Entry, from_row, place_of
from inspection.schema import entries
from inspection.signatures import SIGNED, Signature, SignatureRefused, Signer, sign_record, signature
from inspection.signing import SigningKey

REVIEWED = "reviewed"


@dataclass(frozen=True)
class TrailReview:
    """Until when the trail was reviewed (UTC), by a signature on the record of that moment."""

    until: str
    signature: Signature


def sign_trail_review(archive: Archive, key: SigningKey, record: str, signer: Signer, why: str) -> Entry:
    """Sign that the trail was reviewed up to `record`, one of the chain `audit`: the last one that the reviewer saw.
    Raises SignatureRefused, SignInRefused and ArchiveFault."""
    station, sequence = place_of(record)
    entry = archive.get(station, sequence) if station == AUDIT else None
    if entry is None:
        raise SignatureRefused(f"the audit trail has no record {record!r} up to which it could have been reviewed")
    last = last_trail_review(archive)
    if last and entry.recorded_at <= last.until:
        raise SignatureRefused(f"the trail was reviewed until {last.until[:19].replace('T', ' ')} UTC already")
    return sign_record(archive, key, entry, signer, REVIEWED, why)


def last_trail_record(archive: Archive) -> Entry | None:
    """The newest record of the chain `audit`. Raises ArchiveFault."""
    query = select(entries).where(entries.c.station == AUDIT).order_by(entries.c.sequence.desc()).limit(1)
    with archive.reader() as connection:
        row = connection.execute(query).mappings().first()
    return from_row(row) if row else None


def last_trail_review(archive: Archive) -> TrailReview | None:
    """The review that reaches furthest, of those whose signature holds. Raises ArchiveFault."""
    reviews = trail_reviews(archive, 50)
    return max((one for one in reviews if not one.signature.fault), key=lambda one: one.until, default=None)


def trail_reviews(archive: Archive, limit: int) -> list[TrailReview]:
    """The last reviews, the newest first. Raises ArchiveFault."""
    table = entries.c
    query = select(entries).where(
        table.kind == "event", table.reason == SIGNED, table.station == AUDIT,
        table.details.contains(f'"signs":"{AUDIT}/', autoescape=True),
        table.details.contains(f'"meaning":"{REVIEWED}"', autoescape=True),
    )  # fmt: skip
    with archive.reader() as connection:
        found = [
            from_row(row)
            for row in connection.execute(query.order_by(table.recorded_at.desc()).limit(limit)).mappings()
        ]
    reviews = []
    for event in found:
        signed = archive.get(*place_of(str(event.details["signs"])))
        reviews.append(TrailReview(signed.recorded_at if signed else "", signature(event, signed)))
    return reviews
