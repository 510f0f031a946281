"""Both databases keep the same promises: one chain a station, nothing half-written, nothing changed afterwards."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from inspection.archive import Archive, ArchiveFault
from inspection.archive_settings import read_settings
from inspection.backup import BackupRefused, backup, restore
from inspection.config import ConfigInvalid
from inspection.database import postgresql_engine, sqlite_engine, upgrade_to
from inspection.records import GENESIS, Draft, FrameRecord, to_row, utc_text
from inspection.schema import entries, metadata
from inspection.signing import sign_heads, signing_key
from inspection.verify import verify_archive
from tests.databases import PostgreSql, archive_in, postgresql_server
from tests.people import people

MakeFolder = Callable[[str], Path]
GRANTS = (Path(__file__).parent.parent.parent / "inspection" / "README.md").read_text().partition("```sql\n")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeFolder:
    """Makes folders of archives, each with a database of its own."""
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None

    def new(name: str) -> Path:
        return archive_in(tmp_path / name, server.new_database() if server else None)

    return new


def engine_of(folder: Path):  # type: ignore[no-untyped-def]
    url = read_settings(folder).database_url()
    return postgresql_engine(url, read_only=False) if url else sqlite_engine(folder / "archive.sqlite", read_only=False)


def test_what_is_recorded_comes_back_and_the_chain_goes_on(make: MakeFolder) -> None:
    folder = make("a")
    with Archive(folder) as archive:
        image = archive.images.put(b"picture", ".png")
        written = archive.append(Draft("unit", "µ-1", batch="B", outcome="PASS", score=1, frames=(
            FrameRecord("c", 1, utc_text(), image),), details={"a": [1, None, "ä"]}), "left")  # fmt: skip
        archive.append_all([Draft("event", reason=f"e{number}") for number in range(5)], "right")
    with Archive(folder) as archive:
        again = archive.append(Draft("unit", "u-2", outcome="REJECT"), "left")
        assert archive.get("left", 1) == written
        assert (again.sequence, again.previous) == (2, written.hash)
        assert archive.stations() == ["left", "right"]
        assert archive.count_entries() == 7
        assert [entry.unit for entry in archive.latest(5, kind="unit")] == ["u-2", "µ-1"]
        assert [row["reason"] for row in archive.rows("right", 2)] == ["e2", "e3", "e4"]
    found = verify_archive(folder)
    assert (found.problems, found.entries, found.files) == ([], 7, 1)


def test_several_at_once_share_unbroken_chains(make: MakeFolder) -> None:
    folder = make("a")
    Archive(folder).close()

    def work(station: str) -> None:
        with Archive(folder) as own:
            for _ in range(15):
                own.append(Draft("unit", outcome="PASS"), station)

    threads = [threading.Thread(target=work, args=(station,)) for station in ("left", "right", "left", "left")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify_archive(folder)
    assert (found.problems, found.entries) == ([], 60)


def test_a_failed_append_records_nothing(make: MakeFolder) -> None:
    with Archive(make("a")) as archive:
        archive.append(Draft("unit"), "s")
        with pytest.raises(ArchiveFault):
            archive.append_all([Draft("unit"), Draft("unit", details={"x": float("nan")})], "s")
        with pytest.raises(KeyError), archive.writing() as write:
            {}[write.append([Draft("unit")], "s")[0].name]
        assert archive.count_entries() == 1


@pytest.mark.parametrize("statement", ["UPDATE entries SET outcome = 'PASS'", "DELETE FROM entries"])
def test_the_database_refuses_changes_and_verify_misses_the_guard(statement: str, make: MakeFolder) -> None:
    folder = make("a")
    with Archive(folder) as archive:
        archive.append(Draft("unit", outcome="REJECT"), "s")
    engine = engine_of(folder)
    with engine.connect() as connection, pytest.raises(Exception, match="append-only"):
        connection.execute(text(statement))
    verb = statement.split()[0].lower()
    drop = f"DROP TRIGGER entries_refuse_{verb}" + (" ON entries" if engine.dialect.name == "postgresql" else "")
    with engine.begin() as connection:
        connection.execute(text(drop))
        connection.execute(text(statement))
    engine.dispose()
    problems = verify_archive(folder).problems
    assert problems[0] == f"the database's guard entries_refuse_{verb} was removed"
    assert len(problems) == 2, problems


def test_an_archive_of_the_first_schema_is_brought_to_the_newest_with_every_record(make: MakeFolder) -> None:
    folder = make("a")
    engine = engine_of(folder)
    upgrade_to(engine, "0001")
    previous, rows = GENESIS, []
    for number in range(1, 31):
        at = f"2026-{1 + number // 4:02d}-02T03:04:05.000006Z"
        rows.append(to_row(Draft("unit", f"u{number}", outcome="PASS", score=0.5), "s", number, previous, at))
        previous = rows[-1]["hash"]
    with engine.begin() as connection:
        connection.execute(entries.insert(), rows)
    engine.dispose()

    with Archive(folder) as archive:
        assert [row["hash"] for row in archive.rows("s")] == [row["hash"] for row in rows]
        archive.append(Draft("unit", "u31", outcome="PASS"), "s")
        assert archive.missing_guards() == []
    assert verify_archive(folder).problems == []
    engine = engine_of(folder)
    with engine.connect() as connection:
        differing = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [one for one in differing if "entries_2" not in str(one) and "entries_other" not in str(one)
            and "alembic_version" not in str(one)] == []  # fmt: skip


def test_an_archive_moves_from_one_database_to_the_other_by_backup_and_restore(
    make: MakeFolder, tmp_path: Path
) -> None:
    folder, copy = make("a"), tmp_path / "copy"
    people(folder, ada="reviewer")
    with Archive(folder) as archive:
        for number in range(5):
            image = archive.images.put(f"picture {number}".encode(), ".png")
            frames = (FrameRecord("c", number, utc_text(), image),)
            archive.append(Draft("unit", f"u{number}", outcome="PASS", frames=frames), "s")
        sign_heads(archive, signing_key(archive))
    with Archive(folder, read_only=True) as archive:
        assert backup(archive, copy).files == 5
    with Archive(folder) as archive:
        archive.append(Draft("unit", "later", outcome="PASS"), "s")
    with Archive(folder, read_only=True) as archive:
        assert backup(archive, copy).entries == archive.count_entries()

    target = make("b")
    found = restore(copy, target)
    assert found.problems == []
    with Archive(folder, read_only=True) as one, Archive(target, read_only=True) as other:
        for station in one.stations():
            assert list(one.rows(station)) == list(other.rows(station))
    with pytest.raises(BackupRefused, match="not empty"):
        restore(copy, target)


def test_a_backup_waits_for_images_that_are_not_there(tmp_path: Path) -> None:
    folder, copy = tmp_path / "a", tmp_path / "copy"
    with Archive(folder) as archive:
        frames = (FrameRecord("c", 1, utc_text(), archive.images.put(b"picture", ".png")),)
        archive.append(Draft("unit", "u", outcome="PASS", frames=frames), "s")
    (folder / "images").rename(tmp_path / "away")
    with Archive(folder, read_only=True) as archive, pytest.raises(BackupRefused, match="is missing"):
        backup(archive, copy)
    with pytest.raises(BackupRefused, match="was not finished"):
        restore(copy, tmp_path / "b")
    (tmp_path / "away").rename(folder / "images")
    with Archive(folder, read_only=True) as archive:
        assert backup(archive, copy).files == 1
    assert restore(copy, tmp_path / "b").problems == []


# PostgreSQL alone.


def test_months_have_partitions_of_their_own(postgresql: PostgreSql, tmp_path: Path) -> None:
    address = postgresql.new_database()
    with Archive(archive_in(tmp_path / "a", address)) as archive:
        rows, previous = [], GENESIS
        for number, month in enumerate(("2025-12", "2026-01", "2026-01"), 1):
            rows.append(to_row(Draft("unit"), "s", number, previous, f"{month}-05T00:00:00.000000Z"))
            previous = rows[-1]["hash"]
        archive.take(rows)
        archive.append(Draft("unit"), "s")
    name = address.rpartition("/")[2]
    counted = postgresql.execute("SELECT tableoid::regclass::text, count(*) FROM entries GROUP BY 1 ORDER BY 1", name)
    this_month = f"entries_{utc_text()[:7].replace('-', '_')}"
    assert counted == [("entries_2025_12", 1), ("entries_2026_01", 2), (this_month, 1)]
    for statement in ("TRUNCATE entries_2026_01", "TRUNCATE entries", "DELETE FROM entries_2026_01"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            postgresql.execute(statement, name)


def test_processes_at_two_stations_share_unbroken_chains(make: MakeFolder) -> None:
    folder = make("a")
    Archive(folder).close()
    work = (
        "import sys; from pathlib import Path; from inspection.archive import Archive\n"
        "from inspection.records import Draft\n"
        "with Archive(Path(sys.argv[1])) as archive:\n"
        "    for _ in range(15): archive.append(Draft('unit', outcome='PASS'), sys.argv[2])\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", work, str(folder), name]) for name in ("l", "r", "l")]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    found = verify_archive(folder)
    assert (found.problems, found.entries) == ([], 45)


def test_a_station_s_role_may_record_and_nothing_else(postgresql: PostgreSql, tmp_path: Path) -> None:
    address = postgresql.new_database()
    name = address.rpartition("/")[2]
    Archive(archive_in(tmp_path / "owner", address)).close()
    postgresql.execute(GRANTS.partition("```")[0].replace("station_1", f"{name}_user"), name)
    folder = archive_in(tmp_path / "station", address.replace("owner@", f"{name}_user@"))
    with Archive(folder) as archive:
        archive.append(Draft("unit", outcome="PASS"), "s")
    for statement in ("UPDATE entries SET outcome = 'PASS'", "DELETE FROM entries", "TRUNCATE entries",
                      "DROP TRIGGER entries_refuse_update ON entries", "DROP TABLE entries",
                      "ALTER TABLE entries DISABLE TRIGGER ALL"):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            postgresql.execute(statement, name, f"{name}_user")
    assert verify_archive(folder).problems == []


def test_a_server_that_is_gone_is_a_fault_and_works_again_when_it_is_back(
    free_port: Callable[[], int], postgresql: PostgreSql, tmp_path: Path
) -> None:
    assert postgresql.port  # PostgreSQL is there; this server is stopped, so it is another
    with postgresql_server(free_port()) as server:
        with Archive(archive_in(tmp_path / "a", server.new_database())) as archive:
            archive.append(Draft("unit", "before"), "s")
            server.stop("immediate")
            began = time.monotonic()
            with pytest.raises(ArchiveFault, match="did not accept"):
                archive.append(Draft("unit", "lost"), "s")
            assert time.monotonic() - began < 10
            server.start()
            archive.append(Draft("unit", "after"), "s")
            assert [row["unit"] for row in archive.rows("s")] == ["before", "after"]
        server.stop()
        server.start("fsync=off")
        with pytest.raises(ArchiveFault, match="fsync off"):
            Archive(tmp_path / "a")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("database: mysql://x@y/z", "must look like"),
        ("database: nonsense", "must look like"),
        ("database: postgresql://a:secret@b/c", "does not belong"),
        ("database: postgresql://a@b/c\ndatabase_password: {env: NOT_SET_HERE}", "NOT_SET_HERE is empty"),
        ("database_password: {env: X}", "there is none"),
        ("images: a\nstore: {bucket: abc, access_key: {env: A}, secret_key: {env: B}}", "either in a folder"),
        ("databse: x", "did you mean 'database'"),
        ("store: {bucket: abc, access_key: {env: A, file: b}, secret_key: {env: B}}", "either in `env`"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(settings: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "archive.yaml").write_text(settings)
    with pytest.raises(ConfigInvalid, match=said):
        Archive(tmp_path)
    assert not (tmp_path / "archive.sqlite").exists()
