"""A station: one frame, one verdict, one durable record, one disposition, whatever goes wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspection.archive import Archive, ArchiveFault
from inspection.detector import Detector
from inspection.errors import OutputNotWritable
from inspection.finding import Finding
from inspection.frames import Frame, decode_frame, read_frame
from inspection.heatmap import decode_heatmap
from inspection.package import Package
from inspection.recipe import Recipe
from inspection.station import Station
from inspection.verdict import Limits, Outcome, Reason
from inspection.verify import verify_archive


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def station(recipe: Recipe, detector: Detector, archive: Archive) -> Station:
    return Station(recipe, detector, archive)


def test_good_units_pass_and_gross_defects_do_not(station: Station, vial_images: dict[str, list[Path]]) -> None:
    good = [station.inspect(read_frame(path)) for path in vial_images["good"]]
    missing = [station.inspect(read_frame(path)) for path in vial_images["missing_stopper"]]

    assert sum(d.outcome is Outcome.PASS for d in good) >= 5
    assert all(d.outcome is Outcome.REJECT for d in missing)


def test_the_record_holds_what_is_needed_to_see_it_again(station: Station, vial_images: dict[str, list[Path]]) -> None:
    path = vial_images["crack"][0]

    entry = station.inspect(read_frame(path), unit="u-1", batch="B7").entry

    assert entry is not None
    assert (entry.unit, entry.batch, entry.product, entry.recipe) == ("u-1", "B7", "vial", "vials 1.0.0")
    assert entry.package == station.detector.package.digest
    assert entry.details.keys() == {"runtime", "image_quality"}
    assert entry.details["runtime"] == station.detector.runtime
    frame = entry.frames[0]
    assert frame.image is not None
    assert frame.heatmap is not None
    stored = station.archive.images.get(frame.image)
    assert stored == path.read_bytes()
    finding = station.detector.find(decode_frame(stored, "stored"))
    assert finding.score == entry.score
    assert np.array_equal(finding.heatmap, decode_heatmap(station.archive.images.get(frame.heatmap), "map"))


def test_a_frame_from_a_camera_is_kept_losslessly(station: Station, vial_images: dict[str, list[Path]]) -> None:
    pixels = read_frame(vial_images["good"][0]).pixels

    entry = station.inspect(Frame(pixels, "grabbed")).entry

    assert entry is not None
    assert entry.frames[0].image is not None
    assert np.array_equal(decode_frame(station.archive.images.get(entry.frames[0].image), "kept"), pixels)


def test_the_recipe_s_limits_replace_the_package_s(
    recipe: Recipe, detector: Detector, archive: Archive, vial_images: dict[str, list[Path]]
) -> None:
    strict = recipe.model_copy(update={"limits": Limits(review_limit=-1.0, reject_limit=0.0)})

    disposition = Station(strict, detector, archive).inspect(read_frame(vial_images["good"][0]))

    assert disposition.outcome is Outcome.REJECT
    assert disposition.entry is not None
    assert (disposition.entry.review_limit, disposition.entry.reject_limit) == (-1.0, 0.0)


@pytest.mark.parametrize("fault", [RuntimeError("boom"), MemoryError(), ValueError("x" * 10_000)])
def test_a_detector_that_fails_rejects(
    fault: Exception, station: Station, vial_images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_: Any) -> Finding:
        raise fault

    monkeypatch.setattr(station.detector, "find", find)

    disposition = station.inspect(read_frame(vial_images["good"][0]))

    assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.MODEL_FAULT)
    assert disposition.entry is not None
    assert disposition.entry.outcome == "REJECT"


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_a_rejected_record(
    score: float, station: Station, vial_images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station.detector, "find", lambda _: Finding(score, np.zeros((2, 2), np.float32)))

    disposition = station.inspect(read_frame(vial_images["good"][0]))

    assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.SCORE_NOT_FINITE)
    assert disposition.entry is not None
    assert disposition.entry.score is None


def test_a_frame_of_another_shape_rejects(station: Station) -> None:
    disposition = station.inspect(Frame(np.zeros((300, 300, 3), np.uint8), "square"))

    assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.FRAME_WRONG_GEOMETRY)


@pytest.mark.parametrize("where", ["record", "image"])
def test_what_cannot_be_recorded_never_passes(
    where: str, station: Station, vial_images: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ArchiveFault("disk full") if where == "record" else OutputNotWritable("disk full")

    target, name = (station.archive, "append") if where == "record" else (station.archive.images, "put")
    monkeypatch.setattr(target, name, refuse)

    disposition = station.inspect(read_frame(vial_images["good"][0]))

    assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.ARCHIVE_FAULT)
    assert disposition.entry is None
    assert "disk full" in disposition.message


def test_a_decision_after_the_deadline_rejects(
    recipe: Recipe, detector: Detector, archive: Archive, vial_images: dict[str, list[Path]]
) -> None:
    clock = Clock()
    station = Station(recipe.model_copy(update={"deadline_ms": 100}), detector, archive, clock)
    opened, clock.now = clock.now, 0.101

    disposition = station.inspect(read_frame(vial_images["good"][0]), opened=opened)

    assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.LATE)
    assert disposition.entry is not None
    assert disposition.entry.outcome == "REJECT"


def test_a_unit_that_waited_past_its_deadline_costs_no_detection(
    recipe: Recipe,
    detector: Detector,
    archive: Archive,
    vial_images: dict[str, list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    clock.now = 5.0
    found: list[int] = []
    monkeypatch.setattr(detector, "find", lambda _: found.append(1))
    station = Station(recipe.model_copy(update={"deadline_ms": 100}), detector, archive, clock)

    disposition = station.inspect(read_frame(vial_images["good"][0]), opened=4.0)

    assert (disposition.reason, found) == (Reason.LATE, [])


def test_a_pass_recorded_after_the_deadline_rejects_and_the_record_is_corrected(
    recipe: Recipe,
    detector: Detector,
    archive: Archive,
    vial_images: dict[str, list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    station = Station(recipe.model_copy(update={"deadline_ms": 100}), detector, archive, clock)
    append = archive.append

    def slow(*arguments: Any) -> Any:
        clock.now += 0.2
        return append(*arguments)

    monkeypatch.setattr(archive, "append", slow)

    disposition = station.inspect(read_frame(vial_images["good"][0]))

    assert (disposition.outcome, disposition.reason) == (Outcome.REJECT, Reason.LATE)
    correction = archive.latest(1)[0]
    assert disposition.entry is not None
    assert correction.details["corrects"] == disposition.entry.name
    assert correction.details["outcome"] == "REJECT"
    assert verify_archive(archive.folder).intact


def test_a_monochrome_package_keeps_grey_frames_grey_and_the_colours_of_what_it_refused(
    recipe: Recipe, package: Package, archive: Archive, vial_images: dict[str, list[Path]]
) -> None:
    mono = Detector(package)
    mono.manifest = package.manifest.model_copy(
        update={"input": package.manifest.input.model_copy(update={"colour": "mono"})}
    )
    station = Station(recipe, mono, archive)
    coloured = read_frame(vial_images["good"][0]).pixels
    grey = np.repeat(coloured[:, :, :1], 3, axis=2)

    refused = station.inspect(Frame(coloured, "coloured"))
    judged = station.inspect(Frame(grey, "grey"))

    assert refused.reason is Reason.FRAME_WRONG_GEOMETRY
    for disposition, colour, pixels in ((refused, "rgb", coloured), (judged, "mono", grey)):
        assert disposition.entry is not None
        name = disposition.entry.frames[0].image
        assert name is not None
        assert np.array_equal(decode_frame(archive.images.get(name), name, colour), pixels)
