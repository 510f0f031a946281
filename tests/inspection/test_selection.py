"""A selection becomes a training set that `inspection train` reads; what nobody can say is left out and counted."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from data.labelled import make_labelled_split
from data.splits import make_split
from inspection.archive import Archive
from inspection.audit import AuditQuery, find_audit
from inspection.commands.export_selection import export_selection
from inspection.errors import InspectionError
from inspection.frames import encode_png
from inspection.image_store import ImageChanged
from inspection.records import Draft, Entry, FrameRecord, utc_text
from inspection.reviews import Decision, ReviewInvalid, add_review
from inspection.search import matching
from inspection.search_query import RecordQuery
from inspection.selection import SelectionInvalid, folder_of, select_pictures
from inspection.selection_export import (
    Asked,
    SelectionChanged,
    note_export,
    write_selection,
    zip_selection,
)
from tests.people import PASSWORD, people

ASKED = Asked("enno", {"batch": "B"})


def picture(seed: int) -> bytes:
    """An image like no other."""
    return encode_png(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def unit(archive: Archive, name: str, outcome: str, reason: str, *images: bytes, **more: Any) -> Entry:
    """A unit's record, with an image of each frame."""
    frames = tuple(FrameRecord(f"c{number}", 1, utc_text(), archive.images.put(data, ".png"), None, float(number))
                   for number, data in enumerate(images))  # fmt: skip
    if more.pop("thumbnail", False):
        frames = (FrameRecord("c", 1, utc_text(), None, None, 1.0, archive.images.put(b"small", ".jpg")),)
    return archive.append(Draft("unit", name, "B", "vial", "v 1", "a" * 64, outcome, reason, 9.0, 15.0, 17.0, 1.0,
                                frames, more), "s")  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Good and defective units of every kind."""
    good, crack = ([picture(seed + number) for number in range(12)] for seed in (0, 100))
    with Archive(tmp_path / "archive") as opened:
        for number in range(6):
            unit(opened, f"good-{number}", "PASS", "within_limits", good[number])
        unit(opened, "two", "PASS", "within_limits", good[6], good[7])
        unit(opened, "named", "REJECT", "class_found", crack[0], sure=["crack"])
        unit(opened, "unnamed", "REJECT", "above_reject_limit", good[8], crack[1])
        unit(opened, "false", "REJECT", "above_reject_limit", good[9])
        unit(opened, "confirmed", "REVIEW", "above_review_limit", crack[2])
        unit(opened, "hidden", "PASS", "within_limits", crack[3])
        unit(opened, "again", "PASS", "within_limits", good[0])
        unit(opened, "undecided", "REVIEW", "above_review_limit", crack[4])
        unit(opened, "unsure", "REJECT", "above_reject_limit", good[10])
        unit(opened, "late", "REJECT", "late", good[11])
        unit(opened, "small", "PASS", "within_limits", thumbnail=True)
        unit(opened, "lost", "REJECT", "frame_lost")
        add_review(opened, "s/10", (), "rita")
        add_review(opened, "s/11", ("crack",), "rita")
        add_review(opened, "s/12", ("crack", "fibre"), "rita", "seen by chance")
        add_review(opened, "s/15", (), "rita", decision=Decision.CANNOT_TELL)
        yield opened


def export(archive: Archive, out: Path) -> dict[str, Any]:
    selection = select_pictures(archive, matching(archive, RecordQuery(batch="B"), 100))
    return write_selection(archive, selection, ASKED, note_export(archive, selection, ASKED), out)


def lines(out: Path) -> dict[str, dict[str, Any]]:
    """By unit."""
    return {line["unit"]: line for line in map(json.loads, (out / "images.jsonl").read_text().splitlines())}


def test_each_image_is_where_its_label_says_and_says_where_that_comes_from(archive: Archive, tmp_path: Path) -> None:
    manifest = export(archive, tmp_path / "set")
    told = lines(tmp_path / "set")
    by_folder = {name: line["path"].partition("/")[0] for name, line in told.items()}
    assert {name: of for name, of in by_folder.items() if of != "good"} == {
        "named": "crack", "confirmed": "crack", "hidden": "crack,fibre", "unnamed": "unnamed",
    }  # fmt: skip
    assert (told["named"]["label_from"], told["confirmed"]["label_from"]) == ("verdict", "review")
    assert told["hidden"]["review"]["comment"] == "seen by chance"
    assert told["false"]["path"].startswith("good/")
    assert told["unnamed"]["frame"] == 1  # the frame with the highest score
    assert told["two"]["camera"] == "c1" and told["again"]["path"] == told["good-0"]["path"]
    entry = archive.get("s", 8)
    assert entry is not None and told["named"]["record_hash"] == entry.hash
    left = {why: one["units"] for why, one in manifest["left_out"].items()}
    assert left == {"undecided": 1, "cannot_tell": 1, "fault": 1, "thumbnail_only": 1, "no_image": 1}
    assert manifest["left_out"]["undecided"]["records"] == ["s/14"]
    assert (manifest["units"], manifest["images"], manifest["folders"]["good"]) == (13, 13, 9)
    assert manifest["labels_from"] == {"review": 3, "verdict": 11}


def test_training_reads_it_and_notices_what_was_changed(archive: Archive, tmp_path: Path) -> None:
    out = tmp_path / "set"
    export(archive, out)
    split = make_split("folder", out, None)
    assert len(split.train) + sum(file.defect is None for file in split.test) == 9
    assert {file.defect for file in split.test} == {None, "crack", "crack,fibre", "unnamed"}
    assert make_split("folder", tmp_path, "set").train
    assert make_labelled_split("folder", out, None, 0, "rgb").classes == ("crack", "fibre", "unnamed")

    image = next((out / "good").iterdir())
    content = image.read_bytes()
    for spoil, said in (
        (lambda: image.write_bytes(content + b"\0"), "has another content"),
        (lambda: image.unlink(), "is missing"),
        (lambda: (image.write_bytes(content), (out / "good" / "more.png").write_bytes(content)), "was added"),
    ):
        spoil()
        for read in (lambda: make_split("folder", out, None), lambda: make_split("folder", tmp_path, "set")):
            with pytest.raises(SelectionChanged, match=said):
                read()
    (out / "good" / "more.png").unlink()
    (out / "images.jsonl").write_text((out / "images.jsonl").read_text().replace("within", "without"))
    with pytest.raises(SelectionChanged, match="not the list"):
        make_labelled_split("folder", out, None, 0, "rgb")
    (out / "selection.json").write_text("{}")
    with pytest.raises(SelectionChanged, match="no whole"):
        make_split("folder", out, None)
    (out / "selection.json").unlink()
    assert make_split("folder", out, None)


def test_the_zip_holds_the_same_and_one_that_breaks_off_is_none(archive: Archive, tmp_path: Path) -> None:
    export(archive, tmp_path / "set")
    selection = select_pictures(archive, matching(archive, RecordQuery(batch="B"), 100))
    data = b"".join(zip_selection(archive, selection, ASKED, "audit/1"))
    with zipfile.ZipFile(BytesIO(data)) as packed:
        assert packed.testzip() is None
        files = {path.relative_to(tmp_path / "set").as_posix(): path.read_bytes()
                 for path in (tmp_path / "set").rglob("*.*") if path.is_file()}  # fmt: skip
        assert set(packed.namelist()) == set(files)
        assert all(packed.read(name) == files[name] for name in files if name != "selection.json")
    image = selection.pictures[-1].image
    stored = archive.folder / "images" / image[:2] / image
    stored.write_bytes(b"another")
    parts: list[bytes] = []
    with pytest.raises(ImageChanged):
        parts.extend(zip_selection(archive, selection, ASKED, "audit/1"))
    assert not zipfile.is_zipfile(BytesIO(b"".join(parts)))
    stored.unlink()
    left = json.loads(zipfile.ZipFile(BytesIO(b"".join(zip_selection(archive, selection, ASKED, "a")))).read(
        "selection.json"))["left_out"]  # fmt: skip
    assert left["image_missing"]["units"] == 2  # two records show it


def test_the_same_image_under_two_labels_is_under_none(archive: Archive) -> None:
    unit(archive, "twin", "REJECT", "class_found", picture(0), sure=["crack"])
    selection = select_pictures(archive, matching(archive, RecordQuery(batch="B"), 100))
    assert set(selection.left_out["labels_differ"]) == {"s/1", "s/13", "s/23"}
    assert not {"good-0", "again", "twin"} & {picture.about["unit"] for picture in selection.pictures}


def test_a_review_of_another_record_stops_it(archive: Archive) -> None:
    details = {"reviews": "s/1", "record_hash": "0" * 64, "labels": ["crack"], "reviewer": "rita", "comment": ""}
    archive.append(Draft("event", "good-0", "B", reason="review", details=details), "s")
    with pytest.raises(ReviewInvalid, match="as it is not"):
        select_pictures(archive, matching(archive, RecordQuery(batch="B"), 100))


@pytest.mark.parametrize(
    ("labels", "folder"),
    [
        ((), "good"),
        (("crack",), "crack"),
        (("a/b", "..", "x"), "a_b,_,x"),
        (("masks",), "masks_"),
        (("µ-Riss",), "µ-Riss"),
    ],
)
def test_no_label_leads_out_of_the_folder(labels: tuple[str, ...], folder: str) -> None:
    assert folder_of(labels) == folder


def run(archive: Archive, *words: object, by: str = "enno") -> Result:
    said = [*map(str, words), "--archive", str(archive.folder), "--as", by]
    return CliRunner().invoke(export_selection, said, env={"INSPECTION_PASSWORD": PASSWORD})


def test_the_command_exports_what_is_searched_for_and_the_trail_says_so(archive: Archive, tmp_path: Path) -> None:
    people(archive.folder, enno="engineer", otto="operator")
    done = run(archive, "--out", tmp_path / "a", "--batch", "B", "--outcome", "PASS")
    assert done.exit_code == 0, done.output
    assert "9 units: 1 crack,fibre, 8 good" in done.output and "1 units left out: thumbnail only" in done.output
    done = run(archive, "--out", tmp_path / "b", "--record", "s/1", "--record", "s/8")
    assert "2 images of 2 units: 1 crack, 1 good" in done.output
    told = list(find_audit(archive, AuditQuery(what="selection_exported")))
    assert [event.by for event in told] == ["enno", "enno"]
    assert told[1].new["query"] == {"batch": "B", "outcome": "PASS", "order": "newest"}
    refused: list[tuple[tuple[object, ...], str, str]] = [
        (("--out", tmp_path / "c"), "otto", "not_permitted"),
        (("--out", tmp_path / "a", "--batch", "B"), "enno", "output_exists"),
        (("--out", archive.folder / "c", "--batch", "B"), "enno", "bad_usage"),
        (("--out", tmp_path / "c", "--batch", "none"), "enno", "selection_invalid"),
        (("--out", tmp_path / "c", "--batch", "B", "--record", "s/1"), "enno", "bad_usage"),
        (("--out", tmp_path / "c", "--record", "s/999"), "enno", "search_invalid"),
        (("--out", tmp_path / "c", "--since", "soon"), "enno", "search_invalid"),
    ]
    for words, by, code in refused:
        done = run(archive, *words, by=by)
        assert isinstance(done.exception, InspectionError) and done.exception.code == code, done.output
    assert not (tmp_path / "c").exists()
    assert len(list(find_audit(archive, AuditQuery(what="selection_exported")))) == 2


def test_nothing_to_export_is_said(archive: Archive) -> None:
    chosen = select_pictures(archive, matching(archive, RecordQuery(unit="late"), 10))
    with pytest.raises(SelectionInvalid, match="1 fault"):
        note_export(archive, chosen, ASKED)
