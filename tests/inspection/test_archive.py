"""Records are appended, chained and kept; nothing is changed afterwards."""

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.archive import Archive, ArchiveFault, ArchiveMissing, ArchiveNotWritable
from inspection.errors import OutputNotWritable
from inspection.image_store import ImageChanged, ImageMissing, ImageStore
from inspection.records import GENESIS, Draft, FrameRecord, row_hash, to_row, utc_text
from inspection.verify import verify_archive

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.none() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
frames = st.builds(FrameRecord, camera=st.text("abc"), sequence=st.integers(0), captured_at=st.just("t"))
drafts = st.builds(
    Draft,
    kind=st.sampled_from(["unit", "event"]),
    unit=texts,
    batch=texts,
    outcome=st.sampled_from(["PASS", "REJECT", "REVIEW", None]),
    reason=texts,
    score=numbers,
    latency_ms=numbers,
    frames=st.lists(frames).map(tuple),
    details=st.dictionaries(st.text("xyz"), st.text(st.characters(exclude_categories=["Cs"])) | numbers),
)  # fmt: skip


def test_a_guard_that_does_nothing_any_more_is_missed(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        archive.append(Draft("unit"), "s")
    database = sqlite3.connect(tmp_path / "archive" / "archive.sqlite")
    database.execute("DROP TRIGGER entries_refuse_delete")
    database.execute("CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON entries BEGIN SELECT 1; END")
    database.commit()
    database.close()
    assert verify_archive(tmp_path / "archive").problems == ["the database's guard entries_refuse_delete was removed"]


@given(entries=st.lists(st.tuples(drafts, st.sampled_from(["left", "right"])), max_size=12))
@settings(max_examples=25, deadline=None)
def test_whatever_is_recorded_comes_back_and_verifies(
    entries: list[tuple[Draft, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    with Archive(folder) as archive:
        written = [archive.append(draft, station) for draft, station in entries]
        back = [archive.get(entry.station, entry.sequence) for entry in written]

    assert back == written
    assert [(entry.kind, entry.unit, entry.details) for entry in written] == [
        (d.kind, d.unit, d.details) for d, _ in entries
    ]
    verification = verify_archive(folder)
    assert verification.problems == []
    assert verification.entries == len(entries)


def test_each_station_has_a_chain_of_its_own(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        first, other, second = (archive.append(Draft("unit"), name) for name in ("a", "b", "a"))

    assert (first.previous, other.previous, second.previous) == (GENESIS, GENESIS, first.hash)
    assert (first.sequence, other.sequence, second.sequence) == (1, 1, 2)


def test_the_chain_goes_on_after_reopening(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        first = archive.append(Draft("unit"), "a")
    with Archive(tmp_path) as archive:
        assert archive.append(Draft("unit"), "a").previous == first.hash


def test_threads_and_processes_share_one_unbroken_chain(tmp_path: Path) -> None:
    def work() -> None:
        with Archive(tmp_path) as own:
            for _ in range(10):
                own.append(Draft("unit"), "a")

    Archive(tmp_path).close()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    verification = verify_archive(tmp_path)
    assert (verification.entries, verification.problems) == (40, [])


@pytest.mark.parametrize("statement", ["UPDATE entries SET outcome = 'PASS'", "DELETE FROM entries"])
def test_the_database_itself_refuses_changes(statement: str, tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(Draft("unit", outcome="REJECT"), "a")

    with (
        sqlite3.connect(tmp_path / "archive.sqlite") as database,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        database.execute(statement)


def test_a_failed_append_records_nothing_and_says_so(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(Draft("unit"), "a")
        with pytest.raises(ArchiveFault):
            archive.append(Draft("unit", details={"bad": float("nan")}), "a")
        with pytest.raises(ArchiveFault, match="not a name"):
            archive.append(Draft("unit"), "../elsewhere")
        assert len(list(archive.rows("a"))) == 1


def test_a_record_stands_although_its_note_cannot_be_written(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        (tmp_path / "heads").rmdir()

        entry = archive.append(Draft("unit", outcome="PASS"), "a")

        assert archive.get("a", 1) == entry
    assert verify_archive(tmp_path).problems == ["the note of the last record of a is missing or unreadable"]


def test_a_read_only_folder_is_refused_for_writing_and_fine_for_reading(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with Archive(folder) as archive:
        archive.append(Draft("unit"), "a")
    before = sorted(path.name for path in folder.iterdir())
    folder.chmod(0o555)
    try:
        with pytest.raises(ArchiveNotWritable, match="read-only"):
            Archive(folder)
        assert verify_archive(folder).entries == 1
    finally:
        folder.chmod(0o755)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_reading_where_there_is_no_archive_makes_none(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="holds no archive"):
        Archive(tmp_path / "nothing", read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_is_no_database_is_a_named_fault(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_bytes(b"not a database at all" * 100)

    with pytest.raises(ArchiveFault, match=r"archive\.sqlite cannot be opened"):
        Archive(tmp_path)
    with pytest.raises(ArchiveFault, match="cannot be read as an archive"):
        verify_archive(tmp_path)


def test_an_archive_of_a_newer_version_is_a_named_fault(tmp_path: Path) -> None:
    Archive(tmp_path).close()
    with sqlite3.connect(tmp_path / "archive.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ArchiveFault, match="cannot be opened"):
        Archive(tmp_path)


def test_the_latest_are_found_by_kind_and_outcome(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        for outcome, reason in (("PASS", "x"), ("REJECT", "y"), ("PASS", "x")):
            archive.append(Draft("unit", outcome=outcome, reason=reason), "a")
        archive.append(Draft("event", reason="stopped"), "a")

        assert [entry.outcome for entry in archive.latest(2, kind="unit")] == ["PASS", "REJECT"]
        assert [entry.sequence for entry in archive.latest(9, outcome="REJECT")] == [2]


def test_images_are_kept_once_and_checked_on_reading(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    store.claim()
    name = store.put(b"picture", ".PNG")

    assert store.put(b"picture", ".png") == name
    assert store.get(name) == b"picture"
    store.path(name).write_bytes(b"pictures")
    with pytest.raises(ImageChanged):
        store.get(name)
    store.put(b"picture", ".png")
    assert store.get(name) == b"picture"
    store.path(name).unlink()
    with pytest.raises(ImageMissing):
        store.get(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "x" * 64 + ".png", "a" * 64, "a" * 64 + "./../x"])
def test_a_name_cannot_lead_out_of_the_store(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageMissing):
        ImageStore(tmp_path).get(name)


def test_the_hash_of_a_record_never_changes_between_versions() -> None:
    draft = Draft(
        "unit", unit="µ-1", outcome="PASS", score=1, frames=(FrameRecord("c", 0, "t"),), details={"b": 1, "a": None}
    )

    row = to_row(draft, "station-1", 1, GENESIS, "2026-01-02T03:04:05.000006Z")

    assert row["hash"] == row_hash(row)
    assert row["hash"] == "3ac82ef7bdf212d6bb28bf84253cbb7d07e04e514f9bf576e500bc084bb71d54"


def test_text_order_of_times_is_time_order() -> None:
    assert len(utc_text()) == 27
    assert utc_text() < utc_text()


def test_images_are_not_written_where_the_store_has_vanished(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(Draft("unit", frames=(FrameRecord("c", 0, "t", archive.images.put(b"one", ".png")),)), "a")
        (tmp_path / "images").rename(tmp_path / "elsewhere")
        with pytest.raises(OutputNotWritable, match="gone"):
            archive.images.put(b"two", ".png")
        assert not (tmp_path / "images").exists()
        (tmp_path / "images").mkdir()  # the empty place where it was mounted
        with pytest.raises(OutputNotWritable, match="gone"):
            archive.images.put(b"two", ".png")
    with pytest.raises(OutputNotWritable, match="mount"):
        Archive(tmp_path)
    (tmp_path / "images").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "images")
    with Archive(tmp_path) as archive:
        archive.images.put(b"two", ".png")


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_groups_of_any_size_make_one_chain(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    folder = tmp_path_factory.mktemp("groups")
    numbers = iter(range(100))
    with Archive(folder) as archive:
        for size in sizes:
            group = [Draft("unit", unit=f"u{next(numbers)}", outcome="PASS") for _ in range(size)]
            assert [entry.unit for entry in archive.append_all(group, "s")] == [draft.unit for draft in group]
    found = verify_archive(folder)
    assert found.intact, found.problems
    with Archive(folder, read_only=True) as archive:
        assert [row["unit"] for row in archive.rows("s")] == [f"u{number}" for number in range(sum(sizes))]


def test_a_group_is_recorded_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        archive.append(Draft("event", reason="before"), "s")
        with pytest.raises(ArchiveFault, match="did not accept"):
            archive.append_all([Draft("unit", unit="good"), Draft("unit", details={"score": float("nan")})], "s")
        assert archive.count_entries() == 1
