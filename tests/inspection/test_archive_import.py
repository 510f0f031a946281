"""Old folders with another system's decisions become an archive: all of it once, nothing where a row is unfit."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from inspection.archive import Archive
from inspection.archive_work import ArchiveWork
from inspection.commands.archive import archive as command
from inspection.detector import Detector
from inspection.errors import InspectionError
from inspection.frames import encode_png
from inspection.importing import run as importing
from inspection.importing.mapping import Mapping, RowUnfit
from inspection.importing.survey import Survey
from inspection.records import Entry, from_row
from inspection.reinspect import Reinspection
from inspection.reviews import Decision, reviewed
from inspection.verify import verify_archive
from tests.people import PASSWORD, people
from tests.serve.serving import running, write_recipe

Images = dict[str, list[Path]]
HEAD = ("file", "id", "when", "lot", "result", "why", "score", "cam", "label", "who")
COLUMNS = ["--image-column", "file", "--unit-column", "id", "--time-column", "when", "--batch-column", "lot",
           "--verdict-column", "result", "--reason-column", "why", "--score-column", "score", "--camera-column", "cam",
           "--truth-column", "label", "--reviewer-column", "who"]  # fmt: skip
WORDS = ["--verdict", "io=PASS", "--verdict", "nio=REJECT", "--verdict", "?=REVIEW", "--reason", "crack=class_found"]
ROW = {"file": "0.png", "id": "u0", "when": "2021-03-01T12:00:00+01:00", "lot": "L1", "result": "io", "why": "",
       "score": "1.5", "cam": "top", "label": "", "who": ""}  # fmt: skip


def plant(folder: Path, rows: Iterable[dict[str, str]], images: int = 4) -> Path:
    """A folder with small pictures `0.png`…, and a CSV file of rows beside it."""
    folder.mkdir(exist_ok=True)
    for number in range(images):
        pixels = np.full((8, 6, 3), number % 256, np.uint8)
        pixels[0, 0] = (number // 256, 7, 9)
        (folder / f"{number}.png").write_bytes(encode_png(pixels))
    file = folder.with_suffix(".csv")
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, HEAD)
        writer.writeheader()
        writer.writerows(ROW | row for row in rows)
    return file


def several(number: int) -> list[dict[str, str]]:
    return [{"file": f"{n}.png", "id": f"u{n}", "label": "crack" if n % 3 == 0 else "", "who": "vera"}
            for n in range(number)]  # fmt: skip


def imported(folder: Path, file: Path, out: Path, *more: object) -> Any:
    words = ["import", str(folder), "--decisions", str(file), "--out", str(out), "--product", "vial", "--quiet"]
    return CliRunner().invoke(command, [*words, *COLUMNS, *WORDS, *map(str, more)])


def entries_of(out: Path, station: str = "imported") -> list[Entry]:
    with Archive(out, read_only=True) as opened:
        return [from_row(row) for row in opened.rows(station)]


def content(out: Path) -> list[dict[str, Any]]:
    """What an archive holds but for when it came there."""
    found = []
    for entry in entries_of(out):
        if entry.reason == "head_signed":
            continue
        values = {key: value for key, value in vars(entry).items() if key not in ("recorded_at", "previous", "hash")}
        values["details"] = json.loads(json.dumps(dict(entry.details)))
        values["details"].pop("record_hash", None)
        values["details"].get("imported", {}).pop("at", None)
        found.append(values)
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file": "none.png"}, "cannot be read"),
        ({"file": "../plant.csv"}, "no path inside"),
        ({"file": "/etc/passwd"}, "no path inside"),
        ({"file": "C:\\x.png"}, "no path inside"),
        ({"file": "link.png"}, "leads out"),
        ({"file": "broken.png"}, "cut short"),
        ({"file": "text.png"}, "not an image"),
        ({"result": "fine"}, "no known verdict"),
        ({"result": ""}, "no known verdict"),
        ({"when": "yesterday"}, "no time"),
        ({"when": "2021-03-01 12:00"}, "no zone"),
        ({"id": "u1"}, "more than once"),
        ({"id": ""}, "no id"),
        ({"id": "x" * 200}, "longer than"),
        ({"file": "1.png"}, "named on line"),
        ({"score": "nan"}, "no finite number"),
        ({"score": "1,5"}, "no number"),
        ({"label": "crack"}, "nobody says whose"),
        ({"label": "unsure", "who": "vera"}, "not the name of a defect"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_line_and_nothing_is_imported(
    change: dict[str, str], said: str, tmp_path: Path
) -> None:
    file = plant(tmp_path / "plant", [{"file": "1.png", "id": "u1"}, ROW | change])
    (tmp_path / "plant" / "broken.png").write_bytes((tmp_path / "plant" / "0.png").read_bytes()[:45])
    (tmp_path / "plant" / "text.png").write_text("no picture")
    (tmp_path / "plant" / "link.png").symlink_to(file)
    dry = imported(tmp_path / "plant", file, tmp_path / "archive", "--dry-run")
    assert dry.exit_code == 0 and "line 3: " in dry.stderr and said in dry.stderr, dry.output
    refused = imported(tmp_path / "plant", file, tmp_path / "archive")
    assert isinstance(refused.exception, InspectionError) and refused.exception.code == "import_refused"
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", [], "no column"),
        ("a,b\n1,2\n", [], "no column"),
        ("file,id,when,lot,result,why,score,cam,label,who,file\n", [], "more than one column"),
        (",".join(HEAD) + "\n", [], "no rows"),
        (",".join(HEAD) + "\n\xe4", ["--encoding", "ascii"], "is not ascii"),
        (",".join(HEAD) + "\n", ["--encoding", "klingon"], "an encoding has a name"),
        (",".join(HEAD) + "\n", ["--timezone", "Mars/Base"], "a zone has a name"),
        (",".join(HEAD) + "\n", ["--verdict", "io=FINE"], "verdicts"),
        (",".join(HEAD) + "\n", ["--verdict", "io"], "WORD=MEANING"),
        (",".join(HEAD) + "\n", ["--station", "audit"], "chain of what people do"),
        (",".join(HEAD) + "\n", ["--station", "../x"], "is not a name"),
        (",".join(HEAD) + "\n", ["--mapping", "none.yaml"], "cannot be read"),
    ],
)
def test_a_file_or_an_option_that_is_none_changes_nothing(
    text: str, options: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "plant").mkdir()
    file = tmp_path / "plant.csv"
    file.write_text(text, encoding="utf-8")
    done = imported(tmp_path / "plant", file, tmp_path / "archive", *options)
    assert isinstance(done.exception, InspectionError), done.output
    assert said in str(done.exception) and "\n" not in str(done.exception)
    assert not (tmp_path / "archive").exists()


def test_what_the_other_system_said_stands_with_where_it_comes_from(tmp_path: Path) -> None:
    rows = [
        {"result": "IO", "file": "0.png"},
        {"id": "u1", "file": "1.png", "result": "nio", "why": "Crack", "label": "crack;chip", "who": "vera"},
        {"id": "u2", "file": "2.png", "result": "?", "why": "odd", "label": "good", "who": "vera", "score": ""},
    ]
    file = plant(tmp_path / "plant", rows)
    done = imported(tmp_path / "plant", file, tmp_path / "archive")
    assert done.exit_code == 0, done.exception
    assert "imported 3 units, 3 images, 2 reviews" in done.output
    units = [entry for entry in entries_of(tmp_path / "archive") if entry.kind == "unit"]
    assert [(one.unit, one.outcome, one.reason, one.score, one.package) for one in units] == [
        ("u0", "PASS", "imported", 1.5, None), ("u1", "REJECT", "class_found", 1.5, None),
        ("u2", "REVIEW", "imported", None, None),
    ]  # fmt: skip
    said = units[1].details["imported"]
    assert (said["file"], said["lines"], said["verdict"], said["reason"]) == ("plant.csv", [3], "nio", "Crack")
    assert len(said["csv_sha256"]) == 64 and said["by"] and said["at"]
    assert units[0].frames[0].captured_at == "2021-03-01T11:00:00.000000Z"
    assert units[0].recorded_at > "2026"
    with Archive(tmp_path / "archive", read_only=True) as opened:
        found = {entry.unit: review for entry, review in reviewed(opened)}
        assert opened.images.get(str(units[0].frames[0].image)) == (tmp_path / "plant" / "0.png").read_bytes()
        trail = [from_row(row) for row in opened.rows("audit")]
    assert (found["u1"].labels, found["u1"].reviewer) == (("chip", "crack"), "vera")
    assert found["u2"].decision is Decision.FALSE_REJECT
    assert [one.reason for one in trail][:2] == ["archive_import_started", "archive_imported"]
    assert trail[1].details["outcomes"] == {"PASS": 1, "REJECT": 1, "REVIEW": 1}
    assert verify_archive(tmp_path / "archive").problems == []


def test_several_images_of_a_unit_must_agree_wherever_they_stand(tmp_path: Path) -> None:
    rows = [{"cam": "top", "score": "1"}, {"id": "u1", "file": "1.png"}, {"cam": "side", "file": "2.png", "score": "3"}]
    file = plant(tmp_path / "plant", rows)
    assert "more than once" in imported(tmp_path / "plant", file, tmp_path / "archive", "--dry-run").stderr
    done = imported(tmp_path / "plant", file, tmp_path / "archive", "--several-images")
    assert done.exit_code == 0, done.exception
    first = entries_of(tmp_path / "archive")[0]
    assert (first.score, [(one.camera, one.score) for one in first.frames]) == (3.0, [("top", 1.0), ("side", 3.0)])
    rows[2]["result"] = "nio"
    file = plant(tmp_path / "other", rows)
    dry = imported(tmp_path / "other", file, tmp_path / "new", "--several-images", "--dry-run")
    assert "line 4: the rows of unit 'u0' from line 2 on say different things" in dry.stderr


def test_bad_rows_are_left_out_with_their_whole_unit_listed_and_counted(tmp_path: Path) -> None:
    rows = [{}, {"file": "gone.png"}, {"id": "u1", "file": "1.png"}, {"id": "u2", "file": "2.png", "result": "x"}]
    file = plant(tmp_path / "plant", rows)
    done = imported(tmp_path / "plant", file, tmp_path / "archive", "--several-images", "--skip-bad")
    assert done.exit_code == 0, done.exception
    assert [entry.unit for entry in entries_of(tmp_path / "archive") if entry.kind == "unit"] == ["u1"]
    with (tmp_path / "archive-bad-rows.csv").open() as listed:
        assert [row[0] for row in csv.reader(listed)] == ["line", "2", "3", "5"]
    with Archive(tmp_path / "archive", read_only=True) as opened:
        assert [from_row(row).details["bad"] for row in islice(opened.rows("audit"), 2)] == [3, 3]


def test_the_same_rows_are_imported_once_also_out_of_a_longer_file(tmp_path: Path) -> None:
    file, out = plant(tmp_path / "plant", several(3)), tmp_path / "archive"
    assert imported(tmp_path / "plant", file, out).exit_code == 0
    before = entries_of(out)
    again = imported(tmp_path / "plant", file, out)
    assert again.exit_code == 0 and "nothing new" in again.output
    assert entries_of(out) == before
    file = plant(tmp_path / "plant", [{"id": "u3", "file": "3.png"}, *several(3)])
    assert "1 units to be imported" in imported(tmp_path / "plant", file, out).output
    assert sorted(str(one.unit) for one in entries_of(out) if one.kind == "unit") == ["u0", "u1", "u2", "u3"]
    file = plant(tmp_path / "plant", [{"result": "nio"}])
    changed = imported(tmp_path / "plant", file, out, "--dry-run")
    assert "line 2: unit 'u0' was imported as imported/1, and says something else now" in changed.stderr
    assert verify_archive(out).problems == []


def test_records_of_a_line_are_never_mixed_with_imported_ones(
    tmp_path: Path, filled_archive: Callable[[int], Path]
) -> None:
    file, out = plant(tmp_path / "plant", several(3)), filled_archive(1)
    done = imported(tmp_path / "plant", file, out, "--station", "station-1")
    assert "has records of its own" in str(done.exception)
    assert imported(tmp_path / "plant", file, out).exit_code == 0
    assert verify_archive(out).problems == []


def test_where_there_are_accounts_an_engineer_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, out = plant(tmp_path / "plant", several(3)), tmp_path / "archive"
    people(out, eva="engineer", otto="operator")
    monkeypatch.setenv("INSPECTION_PASSWORD", PASSWORD)
    assert "--as" in str(imported(tmp_path / "plant", file, out).exception)
    assert "permission to develop" in str(imported(tmp_path / "plant", file, out, "--as", "otto").exception)
    assert entries_of(out) == []
    assert imported(tmp_path / "plant", file, out, "--as", "eva").exit_code == 0
    assert entries_of(out)[0].details["imported"]["by"] == "eva"


@pytest.mark.parametrize("killed_after_s", [0.0, 0.15, 0.4])
def test_killed_in_the_middle_and_started_again_it_is_the_same_archive(killed_after_s: float, tmp_path: Path) -> None:
    file, images = plant(tmp_path / "plant", several(500), images=500), tmp_path / "plant"
    assert imported(images, file, tmp_path / "whole").exit_code == 0
    out = tmp_path / "archive"
    words = [sys.executable, "-m", "inspection", "archive", "import", images, "--decisions", file, "--out", out,
             "--product", "vial", "--quiet", *COLUMNS, *WORDS]  # fmt: skip
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while process.poll() is None and not (out / "heads" / "audit.json").exists() and time.monotonic() < until:
        time.sleep(0.005)  # until the import has begun
    time.sleep(killed_after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert imported(images, file, out).exit_code == 0
    assert content(out) == content(tmp_path / "whole")
    assert verify_archive(out).problems == []


def test_memory_stays_flat(tmp_path: Path) -> None:
    peaks = []
    for number in (1500, 4500):  # several pages of records
        folder = tmp_path / f"plant-{number}"
        file = plant(folder, several(number), images=1)
        for more in range(1, number):
            (folder / f"{more}.png").hardlink_to(folder / "0.png")
        mapping = Mapping.model_validate({
            "columns": {"image": "file", "unit": "id", "time": "when", "verdict": "result", "truth": "label",
                        "reviewer": "who", "batch": "lot"}, "verdicts": {"io": "PASS"},
        })  # fmt: skip
        with Survey(folder, file, mapping) as survey, Archive(tmp_path / f"archive-{number}") as opened:
            tracemalloc.start()
            survey.run(opened, "imported")
            importing.Import(opened, survey, "imported", "vial", "test", "test").run()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0], peaks


def test_a_history_is_inspected_again(tmp_path: Path, vial_images: Images, detector: Detector) -> None:
    folder, rows = tmp_path / "plant", []
    folder.mkdir()
    for kind, paths in vial_images.items():
        for number, path in enumerate(paths[:2]):
            shutil.copy(path, folder / f"{kind}-{number}.png")
            rows.append({"file": f"{kind}-{number}.png", "id": f"{kind}-{number}", "label": kind, "who": "vera",
                         "result": "io", "score": ""})  # fmt: skip
    file = plant(folder, rows, images=0)
    assert imported(folder, file, tmp_path / "archive").exit_code == 0
    with Archive(tmp_path / "archive", read_only=True) as opened:
        summary = Reinspection(ArchiveWork(opened), detector, "package").run(tmp_path / "again")
    assert (summary["units"], summary["without_image"], summary["unreadable"]) == (len(rows), 0, [])
    stopped = {one["unit"] for one in summary["changed_verdicts"] if one["old"] == "PASS"}
    assert {name for name in stopped if not name.startswith("good")}, "no defect of a history of passes was found"


@given(
    st.integers(315_532_800, 2_100_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from(["Europe/Berlin", "America/Chicago"]),
)
def test_a_local_time_is_the_utc_time_that_the_zone_s_clock_showed_then(moment: datetime, zone: str) -> None:
    shown = moment.astimezone(ZoneInfo(zone))
    text = shown.replace(tzinfo=None).isoformat()
    found = {
        ambiguous: Mapping(timezone=zone, ambiguous=ambiguous).moment(text)  # type: ignore[arg-type]
        for ambiguous in ("earlier", "later")
    }
    assert moment in found.values()
    assert found["later"] - found["earlier"] in (timedelta(0), timedelta(hours=1))


def test_the_hour_that_is_missing_and_the_one_that_is_twice_are_not_guessed() -> None:
    mapping = Mapping(timezone="Europe/Berlin")
    with pytest.raises(RowUnfit, match="does not exist"):
        mapping.moment("2024-03-31T02:30:00")
    with pytest.raises(RowUnfit, match="two times"):
        mapping.moment("2024-10-27T02:30:00")
    assert mapping.moment("2024-10-27T03:30:00").hour == 2


def test_pages_and_batch_show_imported_units_as_any_other(tmp_path: Path, vial_package: Path) -> None:
    out = tmp_path / "archive"
    rows = [{"result": "io"}, {"id": "u1", "file": "1.png", "result": "nio", "why": "crack", "label": "crack",
                               "who": "vera"}, {"id": "u2", "file": "2.png", "result": "?"}]  # fmt: skip
    assert imported(tmp_path / "plant", plant(tmp_path / "plant", rows), out).exit_code == 0
    with running(write_recipe(tmp_path, vial_package), out) as station:
        for path in ("/records", "/records/imported/1", "/records/imported/2", "/records/imported/2/panel", "/trends",
                     "/batches", "/batches/L1", "/review", "/review?batch=L1", "/audit", "/", "/api/records",
                     "/api/records/imported/1", "/api/records/imported/1/image?width=64", "/api/batches/L1",
                     "/api/batches/L1/report"):  # fmt: skip
            answer = station.client.get(path, headers={"Accept": "*/*"})
            assert answer.status_code == 200, (path, answer.text[:300])
        counts = station.client.get("/api/batches/L1").json()["totals"]["outcomes"]
        assert counts == {"PASS": 1, "REJECT": 1, "REVIEW": 1}
