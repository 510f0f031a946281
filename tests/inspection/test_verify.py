"""Whatever is changed in an archive afterwards is found and named."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection.archive import Archive
from inspection.records import GENESIS, row_hash
from inspection.verify import verify_archive


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 12 records of two stations, with images, made without a detector to be quick."""
    from inspection.records import Draft, FrameRecord

    folder = tmp_path_factory.mktemp("original") / "archive"
    with Archive(folder) as archive:
        for number in range(12):
            image = archive.images.put(f"picture {number}".encode(), ".png")
            frames = (FrameRecord("c", number, "t", image),)
            draft = Draft(
                "unit", f"unit-{number}", outcome="REJECT", score=number / 7, frames=frames, details={"n": number}
            )
            archive.append(draft, "left" if number % 3 else "right")
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "archive"))


def edit(folder: Path, *statements: str) -> None:
    """Change rows as someone with the file and no scruples would."""
    database = sqlite3.connect(folder / "archive.sqlite")
    guards = [row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    for name in ("entries_refuse_update", "entries_refuse_delete"):
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        database.execute(statement)
    for guard in guards:
        database.execute(guard)
    database.commit()
    database.close()


def test_an_untouched_archive_is_intact(copy: Path) -> None:
    verification = verify_archive(copy)

    assert (verification.entries, verification.files, verification.problems) == (12, 12, [])


COLUMNS = [
    "kind", "recorded_at", "unit", "batch", "product", "recipe", "package", "outcome", "reason", "score",
    "review_limit", "reject_limit", "latency_ms", "frames", "details", "previous", "hash",
]  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_to_any_column_names_the_record(column: str, copy: Path) -> None:
    value = "0.5" if column in ("score", "review_limit", "reject_limit", "latency_ms") else "'changed'"
    edit(copy, f"UPDATE entries SET {column} = {value} WHERE station = 'left' AND sequence = 4")

    problems = verify_archive(copy).problems

    assert any("left/4" in problem for problem in problems)
    assert not any("right/" in problem for problem in problems)


def test_a_deleted_record_is_named(copy: Path) -> None:
    edit(copy, "DELETE FROM entries WHERE station = 'left' AND sequence = 3")

    assert "record left/3 is missing" in verify_archive(copy).problems


def test_a_chain_cut_off_at_its_end_is_noticed(copy: Path) -> None:
    edit(copy, "DELETE FROM entries WHERE station = 'left' AND sequence > 5")

    assert verify_archive(copy).problems == ["record left/8 is missing: the chain was cut off after 5"]


@pytest.mark.parametrize("note", [None, "", "{}", "[]", '{"sequence": 5}'])
def test_a_note_of_the_head_that_is_gone_or_garbled_is_noticed(note: str | None, copy: Path) -> None:
    path = copy / "heads" / "left.json"
    if note is None:
        path.unlink()
    else:
        path.write_text(note)

    assert verify_archive(copy).problems == ["the note of the last record of left is missing or unreadable"]


@pytest.mark.parametrize("name", ["50% done", "batch #7", "why?", "a&mode=rw", "ü b"])
def test_a_folder_may_have_any_name(name: str, original: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(original, tmp_path / name))
    (tmp_path / "batch ").mkdir()

    assert verify_archive(folder).intact
    with Archive(folder) as archive:
        assert archive.count_entries() == 12
        assert len(archive.latest(3)) == 3


def test_a_station_deleted_whole_is_noticed(copy: Path) -> None:
    edit(copy, "DELETE FROM entries WHERE station = 'right'")

    assert any("right/4 is missing" in problem for problem in verify_archive(copy).problems)


def test_two_records_that_changed_places_are_named(copy: Path) -> None:
    edit(copy, "UPDATE entries SET sequence = -sequence WHERE station = 'left' AND sequence IN (2, 3)",
         "UPDATE entries SET sequence = 5 + sequence WHERE sequence < 0")  # fmt: skip

    problems = verify_archive(copy).problems

    assert any("left/2 " in problem for problem in problems)
    assert any("left/3 " in problem for problem in problems)


def test_a_forged_record_whose_hash_fits_breaks_the_chain(copy: Path) -> None:
    with Archive(copy, read_only=True) as archive:
        row = next(row for row in archive.rows("left") if row["sequence"] == 4)
    row["outcome"] = "PASS"
    edit(copy, f"UPDATE entries SET outcome = 'PASS', hash = '{row_hash(row)}' WHERE station = 'left' AND sequence = 4")

    assert any("left/5 does not follow" in problem for problem in verify_archive(copy).problems)


def test_a_forged_last_record_is_not_the_noted_head(copy: Path) -> None:
    with Archive(copy, read_only=True) as archive:
        row = list(archive.rows("left"))[-1]
    row["outcome"] = "PASS"
    edit(copy, f"UPDATE entries SET outcome = 'PASS', hash = '{row_hash(row)}' WHERE station = 'left' AND sequence = 8")

    assert any("left/8 was changed" in problem for problem in verify_archive(copy).problems)


def test_an_inserted_record_is_named(copy: Path) -> None:
    edit(copy, "UPDATE entries SET sequence = sequence + 100 WHERE station = 'left' AND sequence > 4",
         "INSERT INTO entries SELECT station, 5, kind, recorded_at, unit, batch, product, recipe, package, outcome, "
         f"reason, score, review_limit, reject_limit, latency_ms, frames, details, previous, '{GENESIS}' FROM entries "
         "WHERE station = 'left' AND sequence = 4",
         "UPDATE entries SET sequence = sequence - 99 WHERE sequence > 100")  # fmt: skip

    assert any("left/5 " in problem for problem in verify_archive(copy).problems)


@pytest.mark.parametrize("sequence", [0, -7, "'x'"])
def test_a_record_forged_before_the_first_or_outside_the_numbers_is_named(sequence: object, copy: Path) -> None:
    columns = "kind, recorded_at, unit, batch, product, recipe, package, outcome, reason, score, review_limit"
    columns += ", reject_limit, latency_ms, frames, details, previous"
    where = "FROM entries WHERE station = 'left' AND sequence = 4"
    edit(copy, f"INSERT INTO entries SELECT station, {sequence}, {columns}, '{GENESIS}' {where}")

    assert any("has no place in the chain" in problem for problem in verify_archive(copy).problems)


@pytest.mark.parametrize("frames", ['[{"image":5,"heatmap":null}]', '[{"image":[1],"heatmap":null}]', "5", "[5]", "{}"])
def test_a_list_of_frames_that_makes_no_sense_is_named(frames: str, copy: Path) -> None:
    edit(copy, f"UPDATE entries SET frames = '{frames}' WHERE station = 'left' AND sequence = 4")

    assert any("left/4" in problem for problem in verify_archive(copy).problems)


def test_a_removed_guard_is_named(copy: Path) -> None:
    with sqlite3.connect(copy / "archive.sqlite") as database:
        database.execute("DROP TRIGGER entries_refuse_update")

    assert verify_archive(copy).problems == ["the database's guard entries_refuse_update was removed"]


@pytest.mark.parametrize("how", ["changed", "deleted", "swapped"])
def test_a_touched_image_is_named_with_its_record(how: str, copy: Path) -> None:
    images = sorted((copy / "images").glob("*/*.png"))
    if how == "changed":
        images[3].write_bytes(images[3].read_bytes() + b" ")
    elif how == "deleted":
        images[3].unlink()
    else:
        first, second = images[3].read_bytes(), images[4].read_bytes()
        images[3].write_bytes(second)
        images[4].write_bytes(first)

    problems = verify_archive(copy).problems

    assert any(images[3].name in problem and "record " in problem for problem in problems)
    assert len(problems) == (2 if how == "swapped" else 1)


@given(offset=st.integers(0), byte=st.integers(1, 255))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_single_byte_of_the_database_can_hide_a_change_of_a_record(
    offset: int, byte: int, original: Path, tmp_path: Path
) -> None:
    """A flipped byte is either found, or changes nothing that any record says."""
    from inspection.errors import InspectionError

    folder = tmp_path / "flipped"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    database = folder / "archive.sqlite"
    data = bytearray(database.read_bytes())
    data[offset % len(data)] ^= byte
    database.write_bytes(data)

    try:
        intact = verify_archive(folder).intact
    except InspectionError:
        return
    if intact:
        assert rows(folder) == rows(original)


def rows(folder: Path) -> list[dict[str, object]]:
    with Archive(folder, read_only=True) as archive:
        return [row for station in archive.stations() for row in archive.rows(station)]


def test_a_real_archive_of_inspected_units_verifies(filled_archive: Callable[[int], Path]) -> None:
    verification = verify_archive(filled_archive(5))

    assert (verification.entries, verification.files, verification.problems) == (5, 10, [])
