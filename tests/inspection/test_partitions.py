"""PostgreSQL's partitions are guarded one by one, the one for all others too."""

from pathlib import Path

import psycopg
import pytest

from inspection.archive import Archive
from inspection.records import Draft, utc_text
from inspection.verify import verify_archive
from tests.databases import PostgreSql, archive_in

MONTH = f"entries_{utc_text()[:7].replace('-', '_')}"


@pytest.mark.parametrize(("statement", "missing"), [
    (f"ALTER TABLE {MONTH} DISABLE TRIGGER entries_refuse_update", f"entries_refuse_update of {MONTH}"),
    (f"ALTER TABLE {MONTH} ENABLE REPLICA TRIGGER entries_refuse_delete", f"entries_refuse_delete of {MONTH}"),
    ("DROP TRIGGER entries_refuse_truncate ON entries_other", "entries_refuse_truncate of entries_other"),
    ("ALTER TABLE entries DISABLE TRIGGER entries_refuse_truncate", "entries_refuse_truncate"),
    ("ALTER TABLE ONLY entries ENABLE REPLICA TRIGGER entries_refuse_update", "entries_refuse_update"),
])  # fmt: skip
def test_a_guard_that_a_superuser_took_from_a_partition_is_missed(
    statement: str, missing: str, postgresql: PostgreSql, tmp_path: Path
) -> None:
    address = postgresql.new_database()
    folder = archive_in(tmp_path / "a", address)
    with Archive(folder) as archive:
        archive.append(Draft("unit", outcome="REJECT"), "s")
        assert archive.missing_guards() == []
    postgresql.execute(statement, address.rpartition("/")[2])
    assert verify_archive(folder).problems == [f"the database's guard {missing} was removed"]


def test_records_without_a_partition_of_their_month_are_as_safe(postgresql: PostgreSql, tmp_path: Path) -> None:
    address = postgresql.new_database()
    folder, name = archive_in(tmp_path / "a", address), address.rpartition("/")[2]
    Archive(folder).close()
    postgresql.execute("DROP FUNCTION inspection_partition(text)", name)
    with Archive(folder) as archive:
        archive.append(Draft("unit", outcome="REJECT"), "s")
    assert postgresql.execute("SELECT count(*) FROM entries_other", name) == [(1,)]
    for statement in ("UPDATE entries_other SET outcome = 'PASS'", "DELETE FROM entries_other",
                      "TRUNCATE entries_other"):  # fmt: skip
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            postgresql.execute(statement, name)
    assert verify_archive(folder).problems == []
