"""The archive's tables as SQLAlchemy sees them. Migrations under `inspection/migrations` make them."""

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column("station", String(64), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
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
    Column("hash", String(64), nullable=False, unique=True),
    Index("entries_by_time", "recorded_at"),
    Index("entries_by_outcome", "outcome", "recorded_at"),
    Index("entries_by_batch", "batch", "recorded_at"),
    Index("entries_by_unit", "unit"),
)
