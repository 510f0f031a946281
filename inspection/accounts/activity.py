"""What the trail says of people's sign-ins, and who is signed in now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from inspection.accounts.policy import read_policy
from inspection.archive import Archive
from inspection.audit import AuditEvent, audit_event
from inspection.records import AUDIT, from_row, utc_text
from inspection.schema import entries, sessions

SIGNED_IN = "signed_in"
OWN_EVENTS = ("signed_in", "signed_out", "session_expired", "sign_in_refused", "access_refused", "password_changed",
              "password_reset", "user_unlocked")  # fmt: skip
_MOST = 5000


@dataclass(frozen=True)
class Activity:
    """By name: when each last signed in (UTC), as far as the last thousands of sign-ins tell, and since when somebody
    is signed in now."""

    last: dict[str, str]
    now: dict[str, str]


def activity(archive: Archive, names: Collection[str], now: datetime) -> Activity:
    """Of these accounts. Raises ArchiveFault."""
    table = entries.c
    query = select(entries).where(table.kind == "event", table.reason == SIGNED_IN, table.station == AUDIT)
    last: dict[str, str] = {}
    with archive.reader() as connection:
        policy = read_policy(connection)
        rows = connection.execute(query.order_by(table.recorded_at.desc()).limit(_MOST)).mappings()
        for row in rows:
            event = audit_event(from_row(row))
            last.setdefault(event.by, event.at)
            if len(last) >= len(names):
                break
        oldest = utc_text(now - timedelta(hours=policy.session_hours))
        idle = utc_text(now - timedelta(minutes=policy.idle_minutes))
        alive = select(sessions.c.name, sessions.c.created_at).where(
            sessions.c.created_at >= oldest, sessions.c.seen_at >= idle
        )
        signed_in = {str(row[0]): str(row[1]) for row in connection.execute(alive)}
    return Activity({name: at for name, at in last.items() if name in names}, signed_in)


def own_events(archive: Archive, name: str, since: datetime, limit: int) -> list[AuditEvent]:
    """What the trail says of one account's sign-ins, refusals and passwords, the newest first. Raises ArchiveFault."""
    table = entries.c
    about = [table.details.contains(f'"{key}":"{name}"', autoescape=True) for key in ("subject", "by")]
    query = select(entries).where(
        table.kind == "event", table.reason.in_(OWN_EVENTS), table.recorded_at >= utc_text(since), about[0] | about[1],
    )  # fmt: skip
    with archive.reader() as connection:
        rows = connection.execute(query.order_by(table.recorded_at.desc()).limit(limit)).mappings().all()
    return [audit_event(from_row(row)) for row in rows]
