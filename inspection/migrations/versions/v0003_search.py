"""Indexes for searching: units by package in order of time, and units that did not pass by time and by reason. The last
two are of few records; the first one grows at its ends alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("entries_by_package", "entries", ["package", "recorded_at"])
    where = sa.text("kind = 'unit' AND outcome <> 'PASS'")
    for name, indexed in (("time", ["recorded_at"]), ("reason", ["reason", "recorded_at"])):
        op.create_index(f"stopped_by_{name}", "entries", indexed, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    msg = "an archive is not taken back to an earlier schema; restore the backup that was made before"
    raise RuntimeError(msg)
