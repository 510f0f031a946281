"""The first schema: one table of chained entries that refuses UPDATE and DELETE."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("station", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.Column("unit", sa.String(128)),
        sa.Column("batch", sa.String(128)),
        sa.Column("product", sa.String(128)),
        sa.Column("recipe", sa.String(128)),
        sa.Column("package", sa.String(64)),
        sa.Column("outcome", sa.String(8)),
        sa.Column("reason", sa.String(64)),
        sa.Column("score", sa.Float(53)),
        sa.Column("review_limit", sa.Float(53)),
        sa.Column("reject_limit", sa.Float(53)),
        sa.Column("latency_ms", sa.Float(53)),
        sa.Column("frames", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
    )
    op.create_index("entries_by_time", "entries", ["recorded_at"])
    op.create_index("entries_by_outcome", "entries", ["outcome", "recorded_at"])
    op.create_index("entries_by_batch", "entries", ["batch", "recorded_at"])
    op.create_index("entries_by_unit", "entries", ["unit"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER entries_refuse_{verb.lower()} BEFORE {verb} ON entries "
                f"BEGIN SELECT RAISE(ABORT, 'records are append-only: {verb} is refused'); END"
            )


def downgrade() -> None:
    msg = "the archive is append-only: its first schema cannot be taken back"
    raise RuntimeError(msg)
