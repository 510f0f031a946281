"""Records without the index of hashes (a random place for each insert, and the chain proves them anyway), with indexes
of events; in PostgreSQL, partitions by month. Tables of accounts, sessions, tokens and settings."""

import sqlalchemy as sa
from alembic import op

from inspection.guards import create_guards, drop_guards, partition_function

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXTS = {
    "unit": 128, "batch": 128, "product": 128, "recipe": 128, "package": 64, "outcome": 8, "reason": 64,
}  # fmt: skip


def upgrade() -> None:
    connection = op.get_bind()
    postgresql = connection.dialect.name == "postgresql"
    drop_guards(connection)
    for name in ("time", "outcome", "batch", "unit"):
        op.drop_index(f"entries_by_{name}", "entries")
    op.rename_table("entries", "entries_0001")
    _entries(postgresql)
    if postgresql:
        partition_function(connection)
        months = connection.exec_driver_sql("SELECT DISTINCT left(recorded_at, 7) FROM entries_0001").scalars().all()
        for month in months:
            connection.execute(sa.text("SELECT inspection_partition(:month)"), {"month": month})
    columns = ", ".join(column["name"] for column in sa.inspect(connection).get_columns("entries_0001"))
    op.execute(f"INSERT INTO entries ({columns}) SELECT {columns} FROM entries_0001 ORDER BY station, sequence")  # nosec B608
    op.drop_table("entries_0001")
    op.create_index("entries_by_time", "entries", ["recorded_at"])
    op.create_index("entries_by_outcome", "entries", ["outcome", "recorded_at"])
    op.create_index("entries_by_batch", "entries", ["batch", "recorded_at"])
    op.create_index("entries_by_unit", "entries", ["unit"])
    where = sa.text("kind = 'event'")
    for name, indexed in (("time", ["recorded_at"]), ("reason", ["reason", "recorded_at"])):
        op.create_index(f"events_by_{name}", "entries", indexed, sqlite_where=where, postgresql_where=where)
    create_guards(connection)
    _accounts()


def _entries(postgresql: bool) -> None:
    number = sa.BigInteger() if postgresql else sa.Integer()
    time = sa.String(27, collation="C") if postgresql else sa.String(27)
    key = ["station", "sequence", *(["recorded_at"] if postgresql else [])]  # a partition's key is part of it
    op.create_table(
        "entries",
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("sequence", number, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("recorded_at", time, nullable=False),
        *(sa.Column(name, sa.String(length)) for name, length in _TEXTS.items()),
        *(sa.Column(name, sa.Float(53)) for name in ("score", "review_limit", "reject_limit", "latency_ms")),
        sa.Column("frames", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="entries_key"),
        postgresql_partition_by="RANGE (recorded_at)",  # heard by PostgreSQL alone
    )


def _accounts() -> None:
    text, time, name = sa.Text, sa.String(27), sa.String(64)
    op.create_table(
        "users",
        sa.Column("name", name, primary_key=True),
        sa.Column("full_name", sa.String(128), nullable=False),
        sa.Column("roles", text, nullable=False),
        sa.Column("password_hash", text),
        sa.Column("password_set_at", time),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", time),
        sa.Column("oidc_subject", sa.String(256), unique=True),
        sa.Column("created_at", time, nullable=False),
    )
    op.create_table(
        "passwords",
        sa.Column("name", name, primary_key=True),
        sa.Column("set_at", time, primary_key=True),
        sa.Column("password_hash", text, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", name, primary_key=True),
        sa.Column("name", name, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("seen_at", time, nullable=False),
    )
    op.create_index("sessions_by_name", "sessions", ["name"])
    op.create_table(
        "tokens",
        sa.Column("name", name, primary_key=True),
        sa.Column("token_hash", name, nullable=False, unique=True),
        sa.Column("scopes", text, nullable=False),
        sa.Column("created_by", name, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("revoked_at", time),
    )
    op.create_table("settings", sa.Column("name", name, primary_key=True), sa.Column("value", text, nullable=False))


def downgrade() -> None:
    msg = "an archive is not taken back to an earlier schema; restore the backup that was made before"
    raise RuntimeError(msg)
