"""The archive's tables as SQLAlchemy sees them. Migrations under `inspection/migrations` make them.

`entries` is append-only: the database refuses UPDATE and DELETE. In PostgreSQL it is partitioned by the month of
`recorded_at`. The other tables hold what may change (accounts, sessions, settings); each change is an entry.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData()
_EVENTS = text("kind = 'event'")
_STOPPED = text("kind = 'unit' AND outcome <> 'PASS'")
_Number = BigInteger().with_variant(Integer, "sqlite")

entries = Table(
    "entries",
    metadata,
    Column("station", String(64), primary_key=True),
    Column("sequence", _Number, primary_key=True, autoincrement=False),
    Column("kind", String(8), nullable=False),
    Column("recorded_at", String(27), nullable=False),
    Column("unit", String(128)),
    Column("batch", String(128)),
    Column("product", String(128)),
    Column("recipe", String(128)),
    Column("package", String(64)),
    Column("outcome", String(8)),
    Column("reason", String(64)),
    Column("score", Float(53)),
    Column("review_limit", Float(53)),
    Column("reject_limit", Float(53)),
    Column("latency_ms", Float(53)),
    Column("frames", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("entries_by_time", "recorded_at"),
    Index("entries_by_outcome", "outcome", "recorded_at"),
    Index("entries_by_batch", "batch", "recorded_at"),
    Index("entries_by_unit", "unit"),
    Index("entries_by_package", "package", "recorded_at"),
    # Units that did not pass are few, and so are events among units: these indexes stay small.
    Index("stopped_by_time", "recorded_at", sqlite_where=_STOPPED, postgresql_where=_STOPPED),
    Index("stopped_by_reason", "reason", "recorded_at", sqlite_where=_STOPPED, postgresql_where=_STOPPED),
    Index(
        "events_by_time", "recorded_at", sqlite_where=text("kind = 'event'"), postgresql_where=text("kind = 'event'")
    ),
    Index(
        "events_by_reason",
        "reason",
        "recorded_at",
        sqlite_where=text("kind = 'event'"),
        postgresql_where=text("kind = 'event'"),
    ),
)

# The station of few events, looked for by what they are: written so, no database walks all records of a station by the
# primary key instead of the small indexes of events.
station_of_event = entries.c.station + ""

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("full_name", String(128), nullable=False),
    Column("roles", Text, nullable=False),
    Column("password_hash", Text),
    Column("password_set_at", String(27)),
    Column("must_change", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", String(27)),
    Column("oidc_subject", String(256), unique=True),
    Column("created_at", String(27), nullable=False),
)

passwords = Table(
    "passwords",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("set_at", String(27), primary_key=True),
    Column("password_hash", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("created_at", String(27), nullable=False),
    Column("seen_at", String(27), nullable=False),
    Index("sessions_by_name", "name"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("created_at", String(27), nullable=False),
    Column("expires_at", String(27), nullable=False),
    Column("revoked_at", String(27)),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
