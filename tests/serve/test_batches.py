"""A batch is begun and ended by a person; every unit that came by is accounted for."""

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from inspection.accounts.sign_in import SignIn
from inspection.archive import Archive
from inspection.batch_account import batch_account
from inspection.batch_export import ExportInvalid, export_batch, verify_export
from inspection.batch_pdf import batch_pdf
from inspection.records import Draft, FrameRecord
from inspection.signatures import Signer, sign_record
from inspection.signing import signing_key
from inspection.verify import Trust, verify_archive
from serve.batches import list_batches
from tests.people import PASSWORD, people
from tests.serve.serving import Running, running, wait_for, write_recipe

Images = dict[str, list[Path]]
Run = Callable[..., subprocess.CompletedProcess[str]]


def begin(station: Running, batch: str) -> int:
    return station.client.post("/api/batches", json={"batch": batch, "why": "order 7"}).status_code


def test_units_are_counted_to_the_batch_that_ran_when_they_came_by(station: Running, vial_images: Images) -> None:
    good, bad = vial_images["good"][0].read_bytes(), vial_images["crack"][0].read_bytes()
    station.upload(good, unit="before")
    assert begin(station, "B-1") == 201
    assert station.client.get("/api/status").json()["batch"] == "B-1"
    for data in (good, good, bad, b"no image"):
        station.upload(data)
    assert begin(station, "B-2") == 409
    stopped = station.client.post("/api/batches/stop", json={"why": "order done"})
    assert stopped.status_code == 200, stopped.text
    counts = stopped.json()["details"]["counts"]
    assert stopped.json()["details"]["reconciled"] is True
    assert counts["triggered"] == 4 == counts["passed"] + counts["rejected"] + counts["undecided"]
    assert counts["rejected"] >= 1
    station.upload(good, unit="after")
    assert begin(station, "B-1") == 409
    late = station.upload(good, unit="late", batch="B-1")  # to a batch whose counts are signed
    assert (late.status_code, late.json()["code"]) == (409, "batch_refused")
    assert station.client.post("/api/batches/stop", json={"why": "twice"}).status_code == 409
    [listed] = station.client.get("/api/batches").json()
    assert (listed["batch"], listed["stopped"]["counts"]) == ("B-1", counts)
    archive = station.service.archive
    units = {row["unit"]: row["batch"] for row in archive.rows("station-1") if row["kind"] == "unit"}
    assert (units["before"], units["after"]) == (None, None)
    assert sorted(units.values(), key=str).count("B-1") == 4
    assert archive.latest(1, kind="event")[0].reason == "head_signed"
    assert verify_archive(archive.folder).problems == []


@pytest.mark.parametrize("batch", ["", "a/b", "x" * 200, "a\nb"])
def test_a_name_that_is_none_begins_nothing(batch: str, station: Running) -> None:
    assert begin(station, batch) == 422
    assert list_batches(station.service.archive, 9) == []


def test_a_batch_goes_on_after_the_service_was_started_again(
    tmp_path: Path, vial_package: Path, vial_images: Images
) -> None:
    recipe, good = write_recipe(tmp_path, vial_package), vial_images["good"][0].read_bytes()
    with running(recipe, tmp_path / "archive") as station:
        begin(station, "B-1")
        station.upload(good)
    with running(recipe, tmp_path / "archive") as station:
        assert station.client.get("/api/status").json()["batch"] == "B-1"
        station.upload(good)
        stopped = station.client.post("/api/batches/stop", json={"why": "order done"}).json()
        assert (stopped["details"]["counts"]["triggered"], stopped["details"]["reconciled"]) == (2, True)


def test_a_camera_s_units_are_reconciled(tmp_path: Path, vial_package: Path) -> None:
    camera = {"kind": "simulator", "rate_hz": 10, "defect_rate": 0.3}
    with running(write_recipe(tmp_path, vial_package, camera=camera), tmp_path / "archive") as station:
        begin(station, "B-1")
        wait_for(lambda: station.client.get("/api/status").json()["batch_came_by"] >= 10)
        counts = station.client.post("/api/batches/stop", json={"why": "order done"}).json()["details"]
        assert counts["reconciled"] is True, counts
        assert counts["counts"]["triggered"] >= 9


def test_the_report_accounts_for_the_batch_and_shows_who_signed_it(
    tmp_path: Path, vial_package: Path, vial_images: Images, inspection: Run
) -> None:
    people(tmp_path / "archive", quinn="quality")
    with running(write_recipe(tmp_path, vial_package), tmp_path / "archive") as station:
        begin(station, "µ-1")
        for kind in ("good", "good", "crack"):
            station.upload(vial_images[kind][0].read_bytes())
        unsigned = station.client.get("/api/batches/µ-1").json()
        assert (unsigned["stopped"], unsigned["reconciled"], unsigned["signatures"]) == (None, False, [])
        stop = station.client.post("/api/batches/stop", json={"why": "order done"}).json()
        archive = station.service.archive
        entry = archive.get(stop["station"], stop["sequence"])
        assert entry is not None
        sign_record(archive, station.service.key, entry, Signer(SignIn(archive), "quinn", PASSWORD), "released", "fits")
        said = station.client.get("/api/batches/µ-1").json()
        assert (said["triggered"], said["totals"]["units"], said["reconciled"]) == (3, 3, True)
        assert [one["full_name"] for one in said["signatures"]] == ["Quinn Person-5"]
        assert said["heads"][0]["signed"] is not None
        assert said["ran"][0]["package"] == station.service.status()["package"]["sha256"]
        assert len(said["worst"]) == said["totals"]["outcomes"]["REJECT"] + said["totals"]["outcomes"]["REVIEW"]
        pdf = station.client.get("/api/batches/µ-1/report")
        assert pdf.headers["content-type"] == "application/pdf" and pdf.content.startswith(b"%PDF-")
        assert pdf.content.count(b"/Subtype /Image") >= 2
        assert station.client.get("/api/batches/none").status_code == 404
    for name in ("report.pdf", "report.json"):
        done = inspection("batch", "µ-1", "--archive", tmp_path / "archive", "--report", tmp_path / name)
        assert done.returncode == 0 and (tmp_path / name).stat().st_size > 1000, done.stderr
    for name, code in (("report.txt", "bad_usage"), ("archive/report.pdf", "bad_usage")):
        done = inspection("batch", "µ-1", "--archive", tmp_path / "archive", "--report", tmp_path / name)
        assert f"[{code}]" in done.stderr and not (tmp_path / name).exists()


def test_a_batch_without_a_unit_has_a_report_and_one_that_lost_units_is_not_reconciled(station: Running) -> None:
    archive = station.service.archive
    begin(station, "B-0")
    station.client.post("/api/batches/stop", json={"why": "nothing came"})
    said = station.client.get("/api/batches/B-0").json()
    assert (said["triggered"], said["totals"]["units"], said["reconciled"]) == (0, 0, True)
    lost = {"by": "test", "why": "test", "counts": {"triggered": 500}, "reconciled": False}
    for what, details in (("batch_started", {"by": "test"}), ("batch_stopped", lost)):
        archive.append(Draft("event", batch="B-9", reason=what, details=details), "station-1")
    said = station.client.get("/api/batches/B-9").json()
    assert (said["triggered"], said["totals"]["units"], said["reconciled"]) == (500, 0, False)
    assert station.client.get("/api/batches/B-9/report").content.startswith(b"%PDF-")


def test_a_batch_on_two_stations_is_reconciled_when_both_have_ended_it(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        for name in ("left", "right"):
            archive.append(Draft("event", batch="B", reason="batch_started", details={"by": "a"}), name)
            archive.append(Draft("unit", f"u-{name}", batch="B", product="vial", outcome="PASS", reason="x"), name)
            assert batch_account(archive, "B").triggered is None
            details = {"by": "a", "counts": {"triggered": 1}, "reconciled": True}
            archive.append(Draft("event", batch="B", reason="batch_stopped", details=details), name)
        account = batch_account(archive, "B")
        assert (account.triggered, account.reconciled, account.stations) == (2, True, ("left", "right"))
        assert batch_pdf(archive, account, "a", "2026-11-24T00:00:00") == batch_pdf(
            archive, account, "a", "2026-11-24T00:00:00"
        )


def test_a_monochrome_image_is_in_the_report(tmp_path: Path) -> None:
    out = BytesIO()
    Image.new("L", (40, 30), 90).save(out, "PNG")
    with Archive(tmp_path) as archive:
        frames = (FrameRecord("c", 1, "t", archive.images.put(out.getvalue(), ".png"), None, 2.0),)
        archive.append(Draft("unit", "u", batch="B", outcome="REJECT", reason="x", score=2.0, reject_limit=1.0,
                             review_limit=1.0, frames=frames), "s")  # fmt: skip
        assert batch_pdf(archive, batch_account(archive, "B"), "a").count(b"/Subtype /Image") == 1


# The batch as a folder that stands for itself.


@pytest.fixture
def exported(tmp_path: Path, vial_package: Path, vial_images: Images) -> tuple[Path, str]:
    """A signed batch, exported; and the public key."""
    folder = tmp_path / "archive"
    people(folder, quinn="quality")
    with running(write_recipe(tmp_path, vial_package), folder) as station:
        station.upload(vial_images["good"][1].read_bytes(), unit="before")
        begin(station, "B-1")
        for kind in ("good", "crack"):
            station.upload(vial_images[kind][0].read_bytes(), unit=kind)
        record = station.client.post("/api/batches/stop", json={"why": "order done"}).json()
    with Archive(folder) as archive:
        key = signing_key(archive)
        entry = archive.get(record["station"], record["sequence"])
        assert entry is not None
        sign_record(archive, key, entry, Signer(SignIn(archive), "quinn", PASSWORD), "released", "all fits")
        manifest = export_batch(archive, "B-1", tmp_path / "export", key)
        assert manifest["images"] == 4
        with pytest.raises(ExportInvalid, match="no record of batch"):
            export_batch(archive, "B-9", tmp_path / "other", key)
    return tmp_path / "export", key.public_key


def test_an_exported_batch_verifies_without_its_archive(exported: tuple[Path, str]) -> None:
    folder, key = exported
    found = verify_export(folder, trust=Trust(frozenset({key})))
    assert (found.problems, found.files) == ([], 4)
    assert found.signed["station-1"] >= 5


@pytest.mark.parametrize("what", ["image", "records", "manifest", "gone", "added", "key"])
def test_whatever_is_changed_in_an_exported_batch_is_named(what: str, exported: tuple[Path, str]) -> None:
    folder, key = exported
    image = next((folder / "images").glob("*/*.png"), None) or next((folder / "images").glob("*/*.npy"))
    if what == "image":
        image.write_bytes(image.read_bytes() + b"x")
    elif what == "gone":
        image.unlink()
    elif what == "added":
        (image.parent / ("0" * 64 + ".png")).write_bytes(b"new")
    elif what == "manifest":
        path = folder / "manifest.json"
        path.write_text(path.read_text().replace("released", "rejected"))
    elif what == "records":
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        table = pq.read_table(folder / "records.parquet")
        passed = pc.if_else(pc.equal(table["outcome"], "REJECT"), "PASS", table["outcome"])
        pq.write_table(
            table.set_column(table.column_names.index("outcome"), "outcome", passed), folder / "records.parquet"
        )
    else:
        key = "A" * 43 + "="
    problems = verify_export(folder, trust=Trust(frozenset({key}))).problems
    said = {"image": "was changed", "gone": "is missing", "added": "was added", "manifest": "signature does not fit",
            "records": "hash does not fit", "key": "another key"}[what]  # fmt: skip
    assert any(said in problem for problem in problems), problems
